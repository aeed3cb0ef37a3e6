from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import ImageError, InputError
from onnx_reciprocam.runtime.model_input import ModelInput
from onnx_reciprocam.runtime.preprocess import prepare, settle

SEED = np.random.default_rng(0)
PLAIN: dict[str, Any] = {"mean": (0.0,), "std": (1.0,), "scale": 1.0}
sides = st.integers(1, 60)


def model(*shape: int | None) -> ModelInput:
    return ModelInput("pixels", "tensor(float)", shape)


@pytest.mark.parametrize(
    ("shape", "size", "layout"),
    [
        ((1, 3, 32, 48), (32, 48), "nchw"),
        ((None, 1, 32, 48), (32, 48), "nchw"),
        ((None, 32, 48, 3), (32, 48), "nhwc"),
        ((None, 3, None, None), (224, 224), "nchw"),
        ((None, None, None, 3), (224, 224), "nhwc"),
    ],
)
def test_size_and_layout_are_what_the_model_declares(
    shape: tuple[int | None, ...], size: tuple[int, int], layout: str
) -> None:
    settled = settle(Preprocessing(), model(*shape))
    assert (settled.size, settled.layout) == (size, layout)


def test_what_is_said_wins_over_what_is_declared() -> None:
    settled = settle(Preprocessing(size=(8, 9), layout="nhwc"), model(None, 3, None, 3))
    assert (settled.size, settled.layout) == ((8, 9), "nhwc")


@pytest.mark.parametrize("shape", [(None, None, None, None), (1, 3, 32, 3), (1, 8, 32, 32)])
def test_a_layout_that_cannot_be_told(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(InputError, match=r"input 'pixels': .* does not tell where its channels are; say layout"):
        settle(Preprocessing(), model(*shape))


def test_an_input_that_takes_no_pictures() -> None:
    with pytest.raises(InputError, match="has 2 axes, so it takes no pictures"):
        settle(Preprocessing(), model(1, 12))


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_numbers_at_the_picture_s_own_size(color: str, layout: str) -> None:
    picture = SEED.integers(0, 256, (6, 9, 3), np.uint8)
    channels = 1 if color == "gray" else 3
    mean, std = (0.4, 0.5, 0.6)[:channels], (0.1, 0.2, 0.3)[:channels]
    batch, region = prepare(picture, Preprocessing((6, 9), None, mean, std, 1 / 255, color, layout))
    values = picture / 255
    if color == "gray":  # ITU-R BT.601
        values = np.rint(picture @ [0.299, 0.587, 0.114])[..., None] / 255
    elif color == "bgr":
        values = values[..., [2, 1, 0]]
    wanted = (values - mean) / std
    assert batch.dtype == np.float32
    assert region == (0, 0, 6, 9)
    np.testing.assert_allclose(
        batch[0] if layout == "nhwc" else np.moveaxis(batch[0], 0, -1), wanted, atol=1e-5 + (color == "gray") * 0.04
    )


def test_defaults_are_those_of_imagenet() -> None:
    picture = np.full((500, 300, 3), (124, 116, 104), np.uint8)
    batch, region = prepare(picture, settle(Preprocessing(), model(None, 3, None, None)))
    assert batch.shape == (1, 3, 224, 224)
    assert np.abs(batch).max() < 0.02
    np.testing.assert_allclose(region, ((500 - 262.5) / 2, (300 - 262.5) / 2, 262.5, 262.5), atol=0.6)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (333, 500), (100, 90), (31, 1000)])
@pytest.mark.parametrize(("size", "crop"), [((224, 224), 0.875), ((64, 96), 0.9), ((50, 50), 1.0), ((64, 64), None)])
def test_the_region_is_what_the_network_saw(height: int, width: int, size: tuple[int, int], crop: float | None) -> None:
    """A picture whose red is its row and green its column: the input shows where each of its pixels came from."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([rows * 255 / height, columns * 255 / width, 0 * rows], -1).astype(np.uint8)
    batch, region = prepare(picture, Preprocessing(size, crop, layout="nchw", **PLAIN))
    y = (region.top + (np.arange(size[0]) + 0.5) / size[0] * region.height) * 255 / height
    x = (region.left + (np.arange(size[1]) + 0.5) / size[1] * region.width) * 255 / width
    inside = slice(3, -3)
    np.testing.assert_allclose(batch[0, 0].mean(1)[inside], y[inside], atol=255 / height + 1)
    np.testing.assert_allclose(batch[0, 1].mean(0)[inside], x[inside], atol=255 / width + 1)


@pytest.mark.parametrize(
    ("side", "crop", "whole"), [(227, "0.886719", 256), (240, "0.882353", 272), (260, "0.890411", 292)]
)
def test_a_crop_of_six_digits_is_the_ratio_that_is_meant(side: int, crop: str, whole: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (320, 300, 3), np.uint8)
    size = (side, side)
    written, meant = (
        prepare(picture, Preprocessing(size, c, layout="nchw", **PLAIN)) for c in (float(crop), side / whole)
    )
    np.testing.assert_array_equal(written[0], meant[0])
    assert written[1] == meant[1]
    assert written[1].width == pytest.approx(300 * side / whole)


@given(height=sides, width=sides, tall=sides, wide=sides, crop=st.one_of(st.none(), st.floats(0.2, 1)))
def test_every_picture_fits_and_the_region_lies_in_it(
    height: int, width: int, tall: int, wide: int, crop: float | None
) -> None:
    picture = np.full((height, width, 3), 200, np.uint8)
    batch, region = prepare(picture, Preprocessing((tall, wide), crop, layout="nchw", **PLAIN))
    assert batch.shape == (1, 3, tall, wide)
    np.testing.assert_array_equal(batch, 200)
    assert min(region.top, region.left) >= 0
    assert region.top + region.height <= height + 1e-9
    assert region.left + region.width <= width + 1e-9


def test_shrinking_averages() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 200
    batch, _ = prepare(stripes, Preprocessing((16, 128), None, layout="nchw", **PLAIN))
    np.testing.assert_array_equal(batch, 100)


def test_a_picture_too_thin_to_resize() -> None:
    with pytest.raises(ImageError, match=r"the picture, resized,: .* is above 100 megapixels"):
        prepare(np.zeros((1, 10000, 3), np.uint8), Preprocessing((224, 224), layout="nchw"))
