"""The vision transformer that is committed here: does it read digits, and do its maps land on them?

``held_out_canvases.npz`` holds a hundred canvases (``models/training/`` says how they were drawn), the digit on each, and
the box around its ink, ``[top, left, bottom, right]`` in pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnx_reciprocam as rc
from onnx_reciprocam.models import DIGIT_VIT_LABELS, DIGIT_VIT_PREPROCESSING, fetch
from onnx_reciprocam.models.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TURN = 20  # canvases in a batch


class Canvases(NamedTuple):
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.int64]

    @property
    def images(self) -> NDArray[np.float32]:
        """As the model card says, with no code of the package."""
        return ((self.pixels[:, None] / 255 - 0.1307) / 0.3081).astype(np.float32)

    @property
    def chance(self) -> float:
        """How often a pixel taken at random lies in the box."""
        top, left, bottom, right = self.boxes.T
        return float(((bottom - top) * (right - left)).mean() / self.pixels[0].size)


@pytest.fixture(scope="module")
def canvases() -> Canvases:
    with np.load(Path(__file__).with_name("held_out_canvases.npz")) as file:
        return Canvases(file["pixels"], file["labels"].astype(np.int64), file["boxes"].astype(np.int64))


def one_thread() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def turns(images: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (images[start : start + TURN] for start in range(0, len(images), TURN))


def pointed(maps: NDArray[np.float32], boxes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Per map, whether its highest pixel lies in the box (Zhang et al., arXiv:1608.00507, without their margin)."""
    rows, columns = np.array([np.unravel_index(grid.argmax(), grid.shape) for grid in maps]).T
    top, left, bottom, right = boxes.T
    return (top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)


def test_is_small_valid_and_takes_any_batch() -> None:
    path = fetch("digit-vit")
    assert path.stat().st_size < 1.5 * 2**20
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"image": ["batch", 1, 56, 80], "logits": ["batch", 10]}


def test_command_line_writes_it(tmp_path: Path) -> None:
    assert main(["digit-vit", "-o", str(tmp_path / "vit.onnx")]) == 0
    assert (tmp_path / "vit.onnx").read_bytes() == fetch("digit-vit").read_bytes()


def test_reads_the_held_out_digits(canvases: Canvases) -> None:
    session = ort.InferenceSession(fetch("digit-vit"), one_thread())
    logits = session.run(["logits"], {"image": canvases.images})[0]
    assert (logits.argmax(axis=1) == canvases.labels).mean() >= 0.9  # measured: 0.94


def test_a_picture_file_is_prepared_as_the_network_was_trained(canvases: Canvases, tmp_path: Path) -> None:
    explained = rc.rewrite(fetch("digit-vit"), preprocessing=DIGIT_VIT_PREPROCESSING, labels=DIGIT_VIT_LABELS)
    session = rc.ExplainedSession(explained.SerializeToString(), session_options=one_thread())
    path = tmp_path / "canvas.png"
    cv2.imwrite(str(path), canvases.pixels[0])
    batch, _ = session.prepare(path)
    np.testing.assert_allclose(batch, canvases.images[:1], rtol=1e-5, atol=1e-5)
    assert session.explain_image(path).top(1)[0].label == str(canvases.labels[0])


def test_maps_land_on_the_digit(canvases: Canvases) -> None:
    explained = rc.rewrite(fetch("digit-vit"), upsample="input")
    session = rc.ExplainedSession(explained.SerializeToString(), session_options=one_thread())
    maps = np.concatenate([session(batch).saliency[:, 0] for batch in turns(canvases.images)])
    hits = pointed(maps, canvases.boxes)
    assert hits.mean() >= 0.85  # measured: 0.89
    assert hits.mean() > 5 * canvases.chance
