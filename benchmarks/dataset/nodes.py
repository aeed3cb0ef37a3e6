"""How `batch --engine ray` grows with nodes: python benchmarks/dataset/nodes.py writes nodes.csv.

Ray nodes of one core each, all on this machine, in processes of their own; as many as it has cores. EfficientNet-Lite0. A round is one
cluster of one node and one of all, in turns; its rate is of the middle of the run, when all actors are at work.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

from networks import about_this_machine, as_csv
from pictures import draw

import onnx_reciprocam as rc
from onnx_reciprocam.dataset import batch
from onnx_reciprocam.models import efficientnet_lite0
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.cores import core_count

if TYPE_CHECKING:
    from onnx_reciprocam.dataset import Tally

HERE = Path(__file__).parent
PART = 16
"""Pictures per part, few so that both clusters have many."""
MIDDLE = (0.4, 0.9)
"""Shares of the pictures that the rate is taken between: before, nodes start; after, some are idle."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "nodes.csv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=800)
    given = parser.parse_args()
    counts = (1, core_count())
    rates: dict[int, list[float]] = {nodes: [] for nodes in counts}
    with tempfile.TemporaryDirectory(prefix="reciprocam-") as temporary:
        folder = Path(temporary)
        onnx.save(efficientnet_lite0(), folder / "plain.onnx")
        rc.rewrite(folder / "plain.onnx", folder / "explained.onnx", preprocessing=rc.Preprocessing())
        draw(folder / "photos", given.pictures)
        for turn in range(given.rounds):
            for nodes in counts if turn % 2 else counts[::-1]:
                rates[nodes].append(rate(folder, nodes, f"out-{turn}-{nodes}"))
                rows = [_row(each, rates, given.pictures) for each in counts]
                write_atomically(given.out, as_csv(rows))


def rate(folder: Path, nodes: int, name: str, part: int = PART) -> float:
    """Pictures per second of a cluster of so many nodes."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 << 20})
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    seen: list[tuple[int, float]] = []

    def note(tally: Tally) -> None:
        seen.append((tally.done, time.perf_counter()))

    try:
        batch(
            folder / "explained.onnx", folder / "photos", folder / name, batch_size=1, rows_per_part=part, engine="ray",
            address=cluster.address, progress=note,
        )  # fmt: skip
    finally:
        cluster.shutdown()
    low, high = (share * seen[-1][0] for share in MIDDLE)
    middle = [(done, at) for done, at in seen if low <= done <= high]
    return (middle[-1][0] - middle[0][0]) / (middle[-1][1] - middle[0][1])


def _row(nodes: int, rates: dict[int, list[float]], pictures: int) -> dict[str, str]:
    """One cluster's numbers, beside those of one node in the same round."""
    grown = [mine / one for mine, one in zip(rates[nodes], rates[1], strict=False)]
    return about_this_machine() | {
        "nodes": str(nodes),
        "pictures": str(pictures),
        "rounds": str(len(rates[nodes])),
        "per_second": f"{statistics.median(rates[nodes]):.1f}" if rates[nodes] else "",
        "over_one_node": f"{statistics.median(grown):.2f}" if grown else "",
        "least_most": f"{min(grown):.2f}-{max(grown):.2f}" if grown else "",
    }


if __name__ == "__main__":
    main()
