"""Why Gaussian masks point better: where the peaks of pixel maps lie once they are blurred, with two objects in a picture.

python -m benchmarks.quality.blurred               # after benchmarks.quality.pictures; prints a line per network
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime

import onnx_reciprocam as rc
from onnx_reciprocam.runtime import read_image

from .networks import NETWORKS, network_file
from .packages import CACHE

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16
"""Of Gaussian masks."""


def main() -> None:
    """Shares of pictures whose peak is on the object, and of peaks in the outermost cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    cache = parser.parse_args().cache
    for name in NETWORKS:
        found = np.array(_hits(name, cache))
        plain, cropped, whole, outer = (f"{100 * share:.0f}%" for share in found.mean(axis=0))
        print(f"{name}: as it is {plain}, blurred {cropped}, with the kernel's full weight at the border {whole};")
        print(f"    peaks in the outermost cells: {outer}", flush=True)


def _hits(name: str, cache: Path) -> list[tuple[bool, bool, bool, bool]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "explained.onnx"
        preprocessing = NETWORKS[name].preprocessing
        rc.rewrite(network_file(name, cache), file, classes="input", normalize="none", preprocessing=preprocessing)
        session = rc.ExplainedSession(file, session_options=options)
    with (cache / "pair.csv").open(newline="", encoding="utf-8") as rows:
        return [_hit(session, cache, row) for row in csv.DictReader(rows)]


def _hit(session: rc.ExplainedSession, cache: Path, row: dict[str, str]) -> tuple[bool, bool, bool, bool]:
    explained = session.explain_image(cache / row["path"], class_ids=[int(row["label"])])
    objects = explained.views[0].seen(read_image(cache / row["mask"])[..., 0] > 0)
    plain = explained.saliency[0, 0].astype(np.float64)
    cropped, weight = _blurred(plain), _blurred(np.ones_like(plain))
    y, x = np.unravel_index(plain.argmax(), plain.shape)
    outer = {int(y), int(x)} & {0, len(plain) - 1}
    return _on(plain, objects), _on(cropped, objects), _on(cropped / weight, objects), bool(outer)


def _blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.filter2D(plane, -1, KERNEL, borderType=cv2.BORDER_CONSTANT), np.float64)


def _on(plane: NDArray[np.float64], objects: NDArray[np.bool_]) -> bool:
    """Whether the peak, enlarged bilinearly, is on the objects."""
    height, width = objects.shape
    large = cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
    return bool(objects.flat[int(large.argmax())])


if __name__ == "__main__":
    main()
