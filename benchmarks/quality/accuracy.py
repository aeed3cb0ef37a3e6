"""How often the networks are right about the pictures: if they never were, maps of the true class would mean little.

python -m benchmarks.quality.accuracy                    # after benchmarks.quality.pictures; writes accuracy.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.explainers import ScoreSession
from onnx_reciprocam.rewriter.network import study

from .networks import NETWORKS, network_file
from .packages import CACHE

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
SETS = ("single", "pair", "photo")


def classifier(name: str, cache: Path) -> ScoreSession:
    """A network of the benchmark, ready to be asked."""
    return ScoreSession(study(network_file(name, cache)), preprocessing=NETWORKS[name].preprocessing)


def ranking(score: ScoreSession, picture: Path | NDArray[np.uint8]) -> NDArray[np.intp]:
    """The classes, likeliest first, of a file or of ``[H, W, 3]`` RGB."""
    batch, _ = score.prepare(picture)
    return np.argsort(-score(batch)[0], kind="stable")


def accuracies(name: str, cache: Path) -> list[list[str]]:
    """A row per set: the network, the set, its rows, and the shares with the label first and among the first five."""
    score = classifier(name, cache)
    ranks: dict[str, list[int]] = {each: [] for each in SETS}
    with (cache / "pictures.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ranks[row["set"]].append(int(np.flatnonzero(ranking(score, cache / row["path"]) == int(row["label"]))[0]))
    return [
        [name, each, str(len(found)), f"{np.mean(np.array(found) < 1):.3f}", f"{np.mean(np.array(found) < 5):.3f}"]
        for each, found in ranks.items()
        if found
    ]


def main() -> None:
    """Ask every network about every picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=HERE / "accuracy.csv", help="default: %(default)s")
    arguments = parser.parse_args()
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["network", "set", "rows", "top1", "top5"])
        for name in NETWORKS:
            for row in accuracies(name, arguments.cache):
                writer.writerow(row)
                print(*row, flush=True)


if __name__ == "__main__":
    main()
