"""How a map of cells should be enlarged: ADCC of ReciproCAM with three interpolations, paired by picture.

python -m benchmarks.quality.enlarged               # after benchmarks.quality.pictures; writes enlarged.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.networks import as_csv
from onnx_reciprocam import metrics
from onnx_reciprocam.evaluation import Protocol
from onnx_reciprocam.evaluation.lots import LOT
from onnx_reciprocam.evaluation.sources import read_source
from onnx_reciprocam.evaluation.subject import Subject
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.runtime.atomic import write_atomically

from .networks import NETWORKS, network_file
from .packages import CACHE
from .paired import PARTS, difference, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.evaluation.subject import Prepared

HERE = Path(__file__).parent
MASKS = ("pixel", "gaussian")
BILINEAR = "bilinear"
INTERPOLATIONS = {BILINEAR: cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST, "bicubic": cv2.INTER_CUBIC}
"""Bilinear first: the others are compared with it."""


def main() -> None:
    """A row per network, mask and interpolation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--out", type=Path, default=HERE / "enlarged.csv")
    given = parser.parse_args()
    rows = [row for name in given.networks for mask in MASKS for row in _rows(name, mask, given.cache)]
    write_atomically(given.out, as_csv(rows))


def _rows(name: str, mask: str, cache: Path) -> list[dict[str, str]]:
    network = study(network_file(name, cache))
    preprocessing = NETWORKS[name].preprocessing
    subject = Subject(network, ["reciprocam"], Protocol(), {"mask": mask}, preprocessing=preprocessing)
    samples = read_source(cache / "single.csv", annotations=None, labels=(), classes=network.scores.classes)
    pictures = [subject.prepare(sample) for sample in samples]
    found = {how: _parts(subject, pictures, how) for how in INTERPOLATIONS}
    rows = []
    for how, parts in found.items():
        mean = parts.mean(0)
        row = {
            "network": name,
            "mask": mask,
            "interpolation": how,
            "pictures": str(len(parts)),
            "adcc": f"{total(parts):.4f}",
        }
        row |= {part: f"{value:.4f}" for part, value in zip(PARTS, mean, strict=True)}
        row["adcc_to_bilinear"] = "" if how == BILINEAR else difference(parts, found[BILINEAR], total)
        rows.append(row)
        print(row, flush=True)
    return rows


def _parts(subject: Subject, pictures: Sequence[Prepared], how: str) -> NDArray[np.float64]:
    """Drop, coherency and complexity of each picture, ``[n, 3]``."""
    lots = []
    for start in range(0, len(pictures), LOT):
        images = np.stack([picture.image for picture in pictures[start : start + LOT]])
        classes = subject.scores(images).argmax(axis=1)
        first = subject.explain("reciprocam", images, classes)
        saliency = _enlarged(first.maps, images, how)
        again = subject.explain("reciprocam", metrics.masked(images, saliency).astype(np.float32), classes)
        columns = (
            metrics.drop(first.sure, again.sure),
            metrics.coherency(saliency, _enlarged(again.maps, images, how)),
            metrics.complexity(saliency),
        )
        lots.append(np.stack(columns, axis=1))
    return np.concatenate(lots)


def _enlarged(maps: NDArray[np.float32], images: NDArray[np.float32], how: str) -> NDArray[np.float64]:
    """S; bicubic weights leave [0, 1], which is cut off."""
    size = images.shape[:1:-1]
    scaled = metrics.minmax(maps)
    return np.stack([np.clip(cv2.resize(one, size, interpolation=INTERPOLATIONS[how]), 0, 1) for one in scaled])


if __name__ == "__main__":
    main()
