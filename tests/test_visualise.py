from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.visualise import COLORMAPS, PANEL, Region, caption, colorize, heatmap, overlay, rescale

SEED = np.random.default_rng(0)
maps = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6, width=32)
)


def bilinear(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """The slow way, half-pixel centres, edges held."""
    y = np.clip((np.arange(height) + 0.5) * cells.shape[0] / height - 0.5, 0, cells.shape[0] - 1)
    x = np.clip((np.arange(width) + 0.5) * cells.shape[1] / width - 0.5, 0, cells.shape[1] - 1)
    across = np.array([np.interp(x, np.arange(cells.shape[1]), row) for row in cells])
    return np.array([np.interp(y, np.arange(cells.shape[0]), column) for column in across.T]).T


@given(maps)
def test_a_map_is_scaled_to_its_own_range(saliency: np.ndarray) -> None:
    scaled = rescale(saliency)
    assert scaled.dtype == np.float32
    if saliency.min() == saliency.max():
        assert not scaled.any()
    else:
        wanted = (saliency.astype(float) - saliency.min()) / (float(saliency.max()) - float(saliency.min()))
        np.testing.assert_allclose(scaled, wanted, atol=1e-6)


@given(maps, st.floats(0.5, 100), st.floats(-100, 100))
def test_colours_do_not_depend_on_the_range(saliency: np.ndarray, factor: float, shift: float) -> None:
    levels = np.round(rescale(saliency) * 8) / 8  # far from rounding edges
    np.testing.assert_allclose(
        colorize(levels).astype(int), colorize(levels.astype(np.float64) * factor + shift).astype(int), atol=24
    )


@pytest.mark.parametrize("name", COLORMAPS)
def test_smallest_and_largest_cell_get_the_ends_of_the_colours(name: str) -> None:
    ends = cv2.applyColorMap(np.array([[0, 255]], np.uint8), getattr(cv2, f"COLORMAP_{name.upper()}"))[..., ::-1]
    np.testing.assert_array_equal(colorize(np.array([[-3.0, 9.0]]), name), ends)


def test_maps_that_are_none() -> None:
    for wrong in (np.zeros((1, 2, 2)), np.zeros(4), np.zeros((0, 3))):
        with pytest.raises(ShapeMismatchError, match="the saliency map has shape"):
            colorize(wrong)
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="has NaN or infinite cells"):
            colorize(np.array([[0.0, bad]]))
    with pytest.raises(OptionError, match="colormap does not take 'rainbow'; it takes turbo"):
        colorize(np.zeros((2, 2)), "rainbow")


@pytest.mark.parametrize("region", [None, Region(3, 5, 24, 36)])
def test_an_overlay_by_hand(region: Region | None) -> None:
    image = SEED.integers(0, 256, (30, 50, 3), np.uint8)
    saliency = SEED.random((4, 6))
    top, left, height, width = map(int, region or (0, 0, 30, 50))
    heat = bilinear((saliency - saliency.min()) / np.ptp(saliency), height, width)
    colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    wanted = image * 0.5
    seen = image[top : top + height, left : left + width]
    wanted[top : top + height, left : left + width] = seen + 0.7 * heat[..., None] * (colours - seen.astype(float))
    np.testing.assert_allclose(overlay(image, saliency, 0.7, region), wanted, atol=1)


def test_the_picture_handed_in_stays_as_it_is() -> None:
    image = SEED.integers(0, 256, (9, 9, 3), np.uint8)
    before = image.copy()
    overlay(image, np.eye(3), region=Region(1, 1, 5, 5))
    heatmap(image, np.eye(3))
    np.testing.assert_array_equal(image, before)


def test_a_constant_map_colours_nothing() -> None:
    image = SEED.integers(0, 256, (9, 9, 3), np.uint8)
    np.testing.assert_array_equal(overlay(image, np.full((3, 3), 7.0)), image)
    np.testing.assert_array_equal(overlay(image, np.eye(3), alpha=0), image)


def test_a_map_alone_is_black_outside_its_region() -> None:
    image = np.full((10, 10, 3), 9, np.uint8)
    painted = heatmap(image, np.eye(2), Region(2, 2, 6, 6))
    assert painted[2:8, 2:8].any(-1).all()
    painted[2:8, 2:8] = 0
    assert not painted.any()


@pytest.mark.parametrize("region", [Region(0, 0, 0.2, 0.2), Region(0.4, 0.4, 0.2, 0.2), Region(9.3, 9.3, 0.4, 0.4)])
def test_a_region_inside_one_pixel(region: Region) -> None:
    assert overlay(np.zeros((10, 10, 3), np.uint8), np.eye(2), region=region).shape == (10, 10, 3)


def test_overlays_that_cannot_be() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(OptionError, match=r"alpha does not take '1.5'"):
        overlay(image, np.eye(2), alpha=1.5)
    with pytest.raises(ShapeMismatchError, match=r"the picture has shape \(4, 4\), wanted \('H', 'W', 3\)"):
        overlay(image[..., 0], np.eye(2))
    with pytest.raises(InputError, match="is float32; a picture here is uint8 RGB"):
        overlay(image.astype(np.float32), np.eye(2))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (448, 448), (2000, 3000), (20, 4000), (4000, 20)])
def test_a_caption_fits_pictures_of_any_size(size: tuple[int, int]) -> None:
    panel = np.zeros((*size, 3), np.uint8)
    figure = caption({"picture": panel, "saliency": panel, "overlay": panel}, ["one", "two"])
    height, width = figure.shape[:2]
    assert height <= PANEL + 200
    assert 3 * PANEL // 2 <= width <= 3 * PANEL + 200
    lines = np.flatnonzero((figure[-70:] < 128).any((1, 2)))
    assert lines.size > 10  # both lines are there


@pytest.mark.parametrize("line", ["x" * 5000, "Größe naïve 你好 \n\t", "", " " * 3000])
def test_any_text_fits(line: str) -> None:
    panel = np.zeros((9, 9, 3), np.uint8)
    figure = caption({"a": panel}, [line])
    assert figure.shape == caption({"a": panel}, ["short"]).shape
    assert (figure[-38:, -8:] == 255).all()  # nothing runs over the margin
