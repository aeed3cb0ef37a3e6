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
    """One line per network and variant: first those of one or two inferences, then those with deletion and insertion."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    for results in sorted((parser.parse_args().cache / "results").glob("single-*"), reverse=True):
        for network in sorted(results.iterdir()):
            if not (network / BASE).is_dir():
                sys.exit(f"{network}: nothing to compare with; run benchmarks.quality.run --only {BASE} first")
            base = read(network / BASE)
            for folder in sorted(path for path in network.iterdir() if path.name != BASE):
                print(f"{network.name} {folder.name}: {', '.join(_differences(read(folder), base))}")


def _differences(own: dict[str, dict[str, Any]], base: dict[str, dict[str, Any]]) -> list[str]:
    shared = sorted(own.keys() & base.keys())
    parts = [np.array([[rows[s][name] for name in PARTS] for s in shared]) for rows in (own, base)]
    said = [f"ADCC {difference(parts[0], parts[1], total)}"]
    for metric in ("pointing", "deletion", "insertion"):
        known = [s for s in shared if own[s].get(metric) is not None]
        values = [np.array([rows[s][metric] for s in known]) for rows in (own, base)]
        if known:
            said.append(f"{metric} {difference(values[0], values[1], lambda drawn: float(drawn.mean()))}")
    return said


if __name__ == "__main__":
    main()
