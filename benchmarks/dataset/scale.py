"""What `batch --engine ray` would do on many machines: python benchmarks/dataset/scale.py writes scale.csv.

A simulation, not a measurement. Parts of 512 pictures are listed one after the other, taken by whichever core is free, and reported to
the driver one after the other. How long a part takes is drawn around nodes.csv's rate of one core, log-normal with a deviation of a
quarter; how fast one process lists, and how many parts a second the driver hears of, is measured here first, on this machine.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from networks import about_this_machine, as_csv
from nodes import rate
from pictures import draw
from rich.progress import track

import onnx_reciprocam as rc
from onnx_reciprocam.dataset.parts import cut
from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.models import DIGIT_VIT_PREPROCESSING, fetch
from onnx_reciprocam.runtime.atomic import write_atomically

HERE = Path(__file__).parent
PART, CORES, DEVIATION = 512, 16, 0.25
MACHINES = (1, 2, 8, 32, 128, 512)
LISTED = 1_000_000


class Rates(NamedTuple):
    """Of one core's pictures, of pictures listed, and of parts that the driver hears of; all per second."""

    core: float
    listed: float
    heard: float


def main() -> None:
    """Measure, simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "scale.csv")
    parser.add_argument("--pictures", type=int, default=50_000_000)
    given = parser.parse_args()
    with (HERE / "nodes.csv").open() as stream:
        core = float(next(row["per_second"] for row in csv.DictReader(stream) if row["nodes"] == "1"))
    rates = Rates(core, listing_rate(), heard_rate())
    rows = []
    for machines in track(MACHINES):
        seconds = simulated(given.pictures, machines * CORES, rates)
        ideal = given.pictures / (machines * CORES * rates.core)
        rows.append(
            about_this_machine()
            | {
                "machines": str(machines),
                "cores": str(machines * CORES),
                "pictures": str(given.pictures),
                "core_per_second": f"{rates.core:.1f}",
                "listed_per_second": f"{rates.listed:.0f}",
                "parts_heard_per_second": f"{rates.heard:.1f}",
                "hours": f"{seconds / 3600:.2f}",
                "efficiency": f"{ideal / seconds:.3f}",
            }
        )
    write_atomically(given.out, as_csv(rows))


def listing_rate() -> float:
    """Pictures that one process lists and cuts into parts, per second."""
    with tempfile.TemporaryDirectory(prefix="reciprocam-") as folder:
        path = Path(folder) / "list.txt"
        path.write_text("".join(f"s3://bucket/pictures/{i:09}.jpg\n" for i in range(LISTED)))
        start = time.perf_counter()
        for part in cut(Source.of(path).items(), PART):
            _ = part.digest
        return LISTED / (time.perf_counter() - start)


def heard_rate() -> float:
    """Parts per second that came to the driver of a small cluster whose parts are next to nothing: it may hear of more."""
    with tempfile.TemporaryDirectory(prefix="reciprocam-") as temporary:
        folder = Path(temporary)
        rc.rewrite(
            fetch("digit-vit"),
            folder / "explained.onnx",
            preprocessing=DIGIT_VIT_PREPROCESSING,
        )
        draw(folder / "photos", 600, 64, 48)
        return rate(folder, 2, "out", part=1)


def simulated(pictures: int, cores: int, rates: Rates) -> float:
    """Seconds from the first part listed to the last one heard of."""
    chance = np.random.default_rng(0)
    spread = np.sqrt(np.log(1 + DEVIATION**2))
    parts = -(-pictures // PART)
    takes = PART / rates.core * np.exp(chance.normal(-(spread**2) / 2, spread, parts))
    free = [0.0] * cores
    ends = []
    for index in range(parts):
        begin = max(heapq.heappop(free), (index + 1) * PART / rates.listed)
        ends.append(begin + takes[index])
        heapq.heappush(free, ends[-1])
    heard = 0.0
    for end in sorted(ends):
        heard = max(heard, end) + 1 / rates.heard
    return heard


if __name__ == "__main__":
    main()
