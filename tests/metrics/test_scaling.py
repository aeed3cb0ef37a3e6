from __future__ import annotations

import cv2
import numpy as np
import pytest
import slow_metrics
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from metric_examples import law, maps

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics import minmax, scaled, upsample

sizes = st.tuples(st.integers(1, 13), st.integers(1, 13))


@law
@given(maps())
def test_each_map_is_scaled_to_its_own_range(saliency: np.ndarray) -> None:
    np.testing.assert_allclose(minmax(saliency), [slow_metrics.minmax(own) for own in saliency], atol=1e-6)


@law
@given(maps(), sizes)
def test_upsampling_equals_the_slow_way(saliency: np.ndarray, size: tuple[int, int]) -> None:
    wanted = [slow_metrics.upsample(own, *size) for own in saliency]
    np.testing.assert_allclose(upsample(saliency, *size), wanted, rtol=1e-6, atol=1e-6 * np.abs(saliency).max())


@pytest.mark.parametrize("size", [(224, 224), (230, 211), (7, 7)])
def test_upsampling_equals_opencv(size: tuple[int, int]) -> None:
    saliency = np.random.default_rng(0).random((3, 7, 9))
    wanted = [cv2.resize(own, size[::-1], interpolation=cv2.INTER_LINEAR) for own in saliency]
    np.testing.assert_allclose(upsample(saliency, *size), wanted, atol=1e-6)


def test_two_cells_by_hand() -> None:
    wanted = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_array_equal(upsample([[[0, 1]]], 2, 8)[0], [wanted, wanted])
    np.testing.assert_array_equal(upsample([[[0], [1]]], 8, 1)[0, :, 0], wanted)


@law
@given(maps(), sizes)
def test_no_pixel_leaves_its_maps_range(saliency: np.ndarray, size: tuple[int, int]) -> None:
    enlarged = upsample(saliency, *size)
    for own, large in zip(saliency, enlarged, strict=True):
        assert own.min() <= large.min()
        assert large.max() <= own.max()


@law
@given(maps(), sizes)
def test_s_is_scaled_before_it_is_enlarged(saliency: np.ndarray, size: tuple[int, int]) -> None:
    wanted = [slow_metrics.upsample(slow_metrics.minmax(own), *size) for own in saliency]
    np.testing.assert_allclose(scaled(saliency, *size), wanted, atol=1e-6)


@law
@given(st.floats(allow_nan=False, allow_infinity=False), sizes, sizes)
def test_a_flat_map_is_all_zeros(value: float, cells: tuple[int, int], size: tuple[int, int]) -> None:
    np.testing.assert_array_equal(scaled(np.full((2, *cells), value), *size), np.zeros((2, *size)))


@law
@given(arrays.arrays(np.float64, (1, 2, 3), elements=st.floats(allow_nan=False, allow_infinity=False)))
@example(np.array([[[-1.7e308, 0.0, 1.7e308]]]))
@example(np.array([[[5e-324, 0.0, 0.0]]]))
def test_no_range_is_too_wide(saliency: np.ndarray) -> None:
    unit = minmax(saliency)
    assert unit.min() >= 0
    assert unit.max() in {0, 1}


@law
@given(st.floats(-1e6, 1e6), sizes)
def test_a_plateau_stays_exactly_flat(value: float, size: tuple[int, int]) -> None:
    assert (upsample(np.full((1, 3, 4), value), *size) == value).all()


def test_maps_that_are_none() -> None:
    for wrong in (np.zeros((2, 2)), np.zeros((1, 1, 2, 2)), np.zeros((0, 2, 2))):
        with pytest.raises(ShapeMismatchError, match=r"saliency has shape .*, wanted \('B', 'H', 'W'\)"):
            scaled(wrong, 4, 4)
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="'saliency': has NaN or infinite cells"):
            scaled([[[0.0, bad]]], 4, 4)
    with pytest.raises(OptionError, match="height does not take '0'; it takes a count of at least 1"):
        upsample(np.zeros((1, 2, 2)), 0, 4)
    with pytest.raises(OptionError, match="width does not take '-1'"):
        scaled(np.zeros((1, 2, 2)), 4, -1)
