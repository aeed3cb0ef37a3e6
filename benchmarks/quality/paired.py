"""Differences from pixel masks on logits, paired by picture: python -m benchmarks.quality.paired, after benchmarks.quality.run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.metrics import adcc

from .packages import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BASE = "reciprocam-pixel-logit-last"
PARTS = ("drop", "coherency", "complexity")
RESAMPLES = 4000


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of an evaluation by sample."""
    rows = map(json.loads, (folder / "rows.jsonl").read_text("utf-8").splitlines())
    return {row["sample"]: row for row in rows if not row.get("error")}


def difference(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], float]
) -> str:
    """``figure`` of one minus that of the other, with what 95% of bootstrapped data sets lie between, in points."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(ours), size=(RESAMPLES, len(ours)))
    low, high = np.quantile([figure(ours[draw]) - figure(theirs[draw]) for draw in draws], [0.025, 0.975])
    return f"{100 * (figure(ours) - figure(theirs)):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def total(parts: NDArray[np.float64]) -> float:
    """ADCC of a data set, from drop, coherency and complexity of each picture, ``[n, 3]``."""
    return adcc(*np.clip(parts.mean(0), 0, 1))


def main() -> None:
    """One line per network and variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    for network in sorted((parser.parse_args().cache / "results" / "single-None").iterdir()):
        if not (network / BASE).is_dir():
            sys.exit(f"{network.name}: nothing to compare with; run benchmarks.quality.run --only {BASE} first")
        base = read(network / BASE)
        for folder in sorted(path for path in network.iterdir() if path.name != BASE):
            own = read(folder)
            shared = sorted(own.keys() & base.keys())
            parts = [np.array([[rows[s][name] for name in PARTS] for s in shared]) for rows in (own, base)]
            pointed = [s for s in shared if own[s].get("pointing") is not None]
            hits = [np.array([rows[s]["pointing"] for s in pointed]) for rows in (own, base)]
            pointing = difference(hits[0], hits[1], lambda values: float(values.mean()))
            print(f"{network.name} {folder.name}: ADCC {difference(parts[0], parts[1], total)}, pointing {pointing}")


if __name__ == "__main__":
    main()
