"""How often the networks are right about the pictures: if they never were, maps of the true class would mean little.

python -m benchmarks.quality.accuracy                    # after benchmarks.quality.pictures; writes accuracy.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from onnx_reciprocam.runtime.images import read_image
from onnx_reciprocam.runtime.model_input import ModelInput
from onnx_reciprocam.runtime.preprocess import prepare, settle

from .networks import NETWORKS, network_file
from .packages import CACHE

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
SETS = ("single", "pair", "photo")


class Classifier:
    """A network of the benchmark, ready to be asked.

    Args:
        name: A key of ``NETWORKS``.
        cache: Where its file is, or will be.
    """

    def __init__(self, name: str, cache: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(network_file(name, cache)), options)
        model_input = ModelInput.of(self.session.get_inputs()[0])
        self.input = model_input.name
        self.preprocessing = settle(NETWORKS[name].preprocessing, model_input)

    def ranking(self, picture: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The classes, likeliest first, of ``[H, W, 3]`` RGB."""
        batch, _ = prepare(picture, self.preprocessing)
        scores: NDArray[np.float32] = self.session.run(None, {self.input: batch})[0][0]
        return np.argsort(-scores, kind="stable")


def accuracies(name: str, cache: Path) -> list[list[str]]:
    """A row per set: the network, the set, its rows, and the shares with the label first and among the first five."""
    classifier = Classifier(name, cache)
    ranks: dict[str, list[int]] = {each: [] for each in SETS}
    with (cache / "pictures.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ranking = classifier.ranking(read_image(cache / row["path"]))
            ranks[row["set"]].append(int(np.flatnonzero(ranking == int(row["label"]))[0]))
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
