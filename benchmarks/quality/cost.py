"""What evaluate costs over the inferences that its metrics need: python -m benchmarks.quality.cost writes cost.csv.

Turns: ``evaluate``, timed from its first lot to its last, and a bare loop of as many images through the plain
and the explained session. The pictures are those of ``benchmarks.quality.pictures``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import onnx_reciprocam as rc
from benchmarks.networks import about_this_machine, as_csv
from onnx_reciprocam.evaluation import METRICS, Protocol, evaluate
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles

from .networks import NETWORKS, network_file
from .packages import CACHE

HERE = Path(__file__).parent
ROUNDS, BATCH, LOT, STEPS = 15, 32, 8, 28
SETS = {
    "adcc": (96, ("drop", "increase", "coherency", "complexity", "adcc")),
    "all": (16, tuple(METRICS)),
}
"""How many pictures, and which metrics."""


def main() -> None:
    """A row per network and set of metrics."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=["efficientnet-lite0", "squeezenet1.1"])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=HERE / "cost.csv")
    given = parser.parse_args()
    rows = []
    for name in given.networks:
        for metrics in SETS:
            rows.append(_row(name, metrics, given.cache, given.rounds))
            write_atomically(given.out, as_csv(rows))


def _row(name: str, metrics: str, cache: Path, rounds: int) -> dict[str, str]:
    pictures, measured = SETS[metrics]
    path, protocol = network_file(name, cache), Protocol(metrics=measured, steps=STEPS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    plain = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "explained.onnx"
        rc.rewrite(path, file, classes="input")
        mapped = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        times = []
        for turn in range(rounds + 1):  # the first does not count
            if turn % 2:
                mine = _evaluated(name, cache, protocol, pictures)
                times.append((mine, _bare(plain, mapped, protocol, pictures)))
            else:
                bare = _bare(plain, mapped, protocol, pictures)
                times.append((_evaluated(name, cache, protocol, pictures), bare))
    ratios = [mine / bare for mine, bare in times[1:]]
    low, high = quartiles(ratios)
    row = about_this_machine() | {
        "network": name,
        "metrics": metrics,
        "pictures": str(pictures),
        "steps": str(STEPS) if protocol.measures("deletion") else "",
        "rounds": str(rounds),
        "evaluate_s": f"{statistics.median(mine for mine, _ in times[1:]):.3f}",
        "bare_s": f"{statistics.median(bare for _, bare in times[1:]):.3f}",
        "ratio": f"{statistics.median(ratios):.3f}",
        "quartiles": f"{low:.3f}-{high:.3f}",
    }
    print(row, flush=True)
    return row


def _evaluated(name: str, cache: Path, protocol: Protocol, pictures: int) -> float:
    told: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        evaluate(
            network_file(name, cache), cache / "single.csv", folder, methods=["reciprocam"], protocol=protocol, limit=pictures,
            preprocessing=NETWORKS[name].preprocessing, progress=lambda *_: told.append(time.perf_counter()),
        )  # fmt: skip
    return told[-1] - told[0]


def _bare(plain: Any, mapped: Any, protocol: Protocol, pictures: int) -> float:
    """As many images as the metrics need, through sessions and nothing else."""
    image = plain.get_inputs()[0]
    batch = np.random.default_rng(0).standard_normal((BATCH, *image.shape[1:])).astype(np.float32)
    games = [name for name in ("deletion", "insertion") if protocol.measures(name)]
    scored = pictures * (1 + len(games) * (protocol.steps + 1))  # the class, and the points of each game
    classes = np.zeros((LOT, 1), np.int64)
    start = time.perf_counter()
    for first in range(0, scored, BATCH):
        plain.run(None, {image.name: batch[: scored - first]})
    for _ in range(2 * pictures // LOT):  # x and E: their maps, and what the network says of them
        mapped.run(None, {image.name: batch[:LOT], "saliency_class_ids": classes})
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
