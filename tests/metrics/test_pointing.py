from __future__ import annotations

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from metric_examples import law, seeds

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics import box_masks, energy_pointing_game, pointing_game, scaled


def things(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps in [0, 1] with ties, and objects of at least a pixel."""
    random = np.random.default_rng(seed)
    objects = random.random((4, 6, 7)) < 0.1
    objects[:, random.integers(6), random.integers(7)] = True
    return random.integers(0, 5, (4, 6, 7)) / 4, objects


@law
@given(seeds, st.one_of(st.integers(0, 4), st.floats(0, 9)))
def test_hits_equal_the_slow_way(seed: int, tolerance: float) -> None:
    saliency, objects = things(seed)
    wanted = [slow_metrics.pointing(*pair, tolerance) for pair in zip(saliency, objects, strict=True)]
    np.testing.assert_array_equal(pointing_game(saliency, objects, tolerance), wanted)


@law
@given(seeds)
def test_energy_equals_the_slow_way(seed: int) -> None:
    saliency, objects = things(seed)
    values = energy_pointing_game(saliency, objects)
    wanted = [slow_metrics.energy(*pair) for pair in zip(saliency, objects, strict=True)]
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    assert (values >= 0).all()
    assert (values <= 1).all()


@law
@given(seeds)
def test_object_and_background_share_the_energy(seed: int) -> None:
    saliency, objects = things(seed)
    both = energy_pointing_game(saliency, objects) + energy_pointing_game(saliency, ~objects)
    np.testing.assert_allclose(both, saliency.any((1, 2)), atol=1e-12)


@law
@given(seeds, st.floats(0, 9), st.floats(0, 9))
def test_more_tolerance_never_loses_a_hit(seed: int, first: float, second: float) -> None:
    strict, lenient = sorted((first, second))
    pair = things(seed)
    assert (pointing_game(*pair, strict) <= pointing_game(*pair, lenient)).all()


@law
@given(seeds, st.permutations(range(4)))
def test_permuting_images_permutes_the_values(seed: int, turn: list[int]) -> None:
    saliency, objects = things(seed)
    for game in (pointing_game, energy_pointing_game):
        np.testing.assert_array_equal(game(saliency, objects)[turn], game(saliency[turn], objects[turn]))


def test_by_hand() -> None:
    one_hot = np.zeros((1, 40, 40))
    one_hot[0, 10, 20] = 1
    box = box_masks([[[4, 26, 30, 40]]], 40, 40)  # 16 pixels below the point
    assert pointing_game(one_hot, box) == 0
    assert pointing_game(one_hot, box, 15) == 0
    assert pointing_game(one_hot, box, 16) == 1
    assert energy_pointing_game(one_hot, box) == 0
    assert energy_pointing_game(one_hot, ~box) == 1
    assert energy_pointing_game(np.ones((1, 40, 40)), box) == pytest.approx(26 * 14 / 1600)


def test_ties_and_flat_maps_point_at_the_first_pixel() -> None:
    corner = np.zeros((1, 3, 3), bool)
    corner[0, 0, 0] = True
    for saliency in (np.zeros((1, 3, 3)), np.full((1, 3, 3), 7.0), np.diag([1.0, 1.0, 0.0])[None]):
        assert pointing_game(saliency, corner) == 1
        assert pointing_game(saliency, ~corner) == 0
    assert energy_pointing_game(scaled(np.full((1, 2, 2), 7.0), 3, 3), corner) == 0


@law
@given(seeds)
def test_the_map_equal_to_the_object_has_all_its_energy_there(seed: int) -> None:
    objects = things(seed)[1]
    np.testing.assert_array_equal(pointing_game(objects.astype(float), objects), 1)
    np.testing.assert_array_equal(energy_pointing_game(objects.astype(float), objects), 1)


def test_boxes_cover_the_pixels_that_they_touch() -> None:
    masks = box_masks([[[1, 0, 3, 2]], [[0.5, 0.5, 1.5, 1.0], [3.2, 2.1, 99, 99]], [[-5, -5, -1, -1]]], 3, 4)
    wanted = [
        ["0110", "0110", "0000"],
        ["1100", "0000", "0001"],
        ["0000", "0000", "0000"],
    ]
    np.testing.assert_array_equal(masks, [[[pixel == "1" for pixel in row] for row in mask] for mask in wanted])


def test_boxes_that_are_none() -> None:
    with pytest.raises(ShapeMismatchError, match=r"boxes of an image has shape \(4,\), wanted \('M', 4\)"):
        box_masks([[1, 2, 3, 4]], 9, 9)
    for wrong in ([3, 0, 1, 2], [0, 2, 1, 2]):
        with pytest.raises(InputError, match="has a box without area; write left, top, right, bottom"):
            box_masks([[wrong]], 9, 9)
    with pytest.raises(InputError, match="'boxes': has NaN or infinite edges"):
        box_masks([[[0, 0, np.nan, 1]]], 9, 9)
    with pytest.raises(OptionError, match="height does not take '0'"):
        box_masks([], 0, 9)


def test_what_does_not_fit() -> None:
    saliency, objects = things(0)
    for game in (pointing_game, energy_pointing_game):
        with pytest.raises(ShapeMismatchError, match=r"objects has shape \(4, 6, 6\), wanted \(4, 6, 7\)"):
            game(saliency, objects[..., :6])
        with pytest.raises(InputError, match=r"'objects': is uint8; say which pixels are the object's"):
            game(saliency, objects.astype(np.uint8))
        with pytest.raises(InputError, match="'objects': has no pixel in image 2; leave out images"):
            game(saliency, objects & np.array([1, 1, 0, 1], bool)[:, None, None])
        with pytest.raises(InputError, match="'saliency': has NaN or infinite cells"):
            game(saliency * np.nan, objects)
    with pytest.raises(InputError, match=r"'saliency': leaves \[0, 1\]"):
        energy_pointing_game(saliency - 0.5, objects)
    for wrong in (-1, np.nan):
        with pytest.raises(OptionError, match=r"tolerance does not take .*; it takes pixels from 0 up"):
            pointing_game(saliency, objects, wrong)
