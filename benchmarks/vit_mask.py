"""``--vit-mask`` compared on the digit transformer: ``python benchmarks/vit_mask.py`` prints a table and draws ``docs/vit-mask.png``.

The canvases are those that the tests keep: a digit among pieces of others, with the box around its ink.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime as ort

import onnx_reciprocam as rc
from onnx_reciprocam.models import fetch
from onnx_reciprocam.visualise import caption, encode, overlay

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
CANVASES = ROOT / "tests" / "models" / "held_out_canvases.npz"
PICTURE = ROOT / "docs" / "vit-mask.png"
KINDS = [(mask, where) for mask in ("pixel", "gaussian") for where in ("residual", "post-norm")]
DRAWN = (0, 1, 2)
TURN = 20


def maps(images: NDArray[np.float32], mask: str, where: str) -> NDArray[np.float32]:
    """Maps of the predicted class at the input's size, ``[B, H, W]``."""
    explained = rc.rewrite(fetch("digit-vit"), mask=mask, vit_mask=where, upsample="input")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = rc.ExplainedSession(explained.SerializeToString(), session_options=options)
    turns = (images[start : start + TURN] for start in range(0, len(images), TURN))
    return np.concatenate([session(turn).saliency[:, 0] for turn in turns])


def hits(found: NDArray[np.float32], boxes: NDArray[np.int64]) -> float:
    """The share of maps whose highest pixel lies in the box."""
    rows, columns = np.array([np.unravel_index(grid.argmax(), grid.shape) for grid in found]).T
    top, left, bottom, right = boxes.T
    return float(((top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)).mean())


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The mean correlation of maps of the same image."""
    return float(np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(one, other, strict=True)]))


def drawn(pixels: NDArray[np.uint8], found: dict[str, NDArray[np.float32]]) -> NDArray[np.uint8]:
    """One image beside its maps."""
    image = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    large = np.asarray(cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST), np.uint8)
    return caption({"image": large} | {title: overlay(large, grid, 0.7) for title, grid in found.items()}, [])


def main() -> None:
    """Everything."""
    with np.load(CANVASES) as file:
        pixels, boxes = file["pixels"], file["boxes"].astype(np.int64)
    images = ((pixels[:, None] / 255 - 0.1307) / 0.3081).astype(np.float32)
    found = {f"{mask}, {where}": maps(images, mask, where) for mask, where in KINDS}
    for title, grids in found.items():
        same = alike(grids, found[f"{title.partition(',')[0]}, residual"])
        print(f"{title:20} hits {hits(grids, boxes):.2f}  correlation with residual {same:.2f}")
    rows = [drawn(pixels[i], {title: grids[i] for title, grids in found.items()}) for i in DRAWN]
    sheet = cv2.resize(np.vstack(rows), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    PICTURE.write_bytes(encode(np.asarray(sheet, np.uint8), ".png"))


if __name__ == "__main__":
    main()
