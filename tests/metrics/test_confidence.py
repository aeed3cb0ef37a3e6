from __future__ import annotations

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from metric_examples import example, law, seeds, shares

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics import confidences, drop, increase, masked, predicted_classes

pairs = arrays.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 6)), elements=shares)


@law
@given(seeds, st.integers(1, 7), st.booleans())
def test_confidences_equal_the_slow_way(seed: int, batch: int, given_classes: bool) -> None:
    case = example(seed)
    classes = np.random.default_rng(seed).integers(0, 4, 5) if given_classes else None
    sure = confidences(case.network, case.images, case.maps, classes, batch=batch)
    assert max(case.network.sizes) <= batch
    for index, (image, saliency) in enumerate(zip(case.images, case.maps, strict=True)):
        plain = case.network(image[None])[0]
        c = int(plain.argmax()) if classes is None else classes[index]
        kept = case.network(slow_metrics.masked(image, saliency)[None])[0, c]
        np.testing.assert_allclose((sure.before[index], sure.after[index]), (plain[c], kept), atol=1e-6)
        np.testing.assert_allclose(drop(*sure[:2])[index], slow_metrics.drop(plain[c], kept), atol=1e-6)
        assert increase(*sure[:2])[index] == (kept > plain[c])
        assert sure.classes is not None
        assert sure.classes[index] == c


@law
@given(pairs)
def test_each_value_lies_in_its_range(pair: np.ndarray) -> None:
    dropped, risen = drop(*pair), increase(*pair)
    assert (dropped >= 0).all()
    assert (dropped <= 1).all()
    assert set(risen) <= {0, 1}
    assert not (dropped * risen).any()  # no image does both


def test_by_hand() -> None:
    before, after = [0.8, 0.5, 0.5, 0.0, 0.0], [0.2, 0.75, 0.5, 0.0, 0.1]
    np.testing.assert_allclose(drop(before, after), [0.75, 0, 0, 0, 0])
    np.testing.assert_array_equal(increase(before, after), [0, 1, 0, 0, 1])


def test_a_map_of_ones_changes_nothing_and_a_flat_one_shows_nothing() -> None:
    case = example(0)
    full = confidences(case.network, case.images, np.ones_like(case.maps))
    np.testing.assert_array_equal(full.before, full.after)
    np.testing.assert_array_equal(masked(case.images, np.zeros_like(case.maps)), np.zeros_like(case.images))
    np.testing.assert_allclose(confidences(case.network, case.images, 0 * case.maps).after, 0.25)


def test_the_map_equal_to_the_image_squares_it() -> None:
    picture = np.random.default_rng(0).random((2, 1, 4, 5)).astype(np.float32)
    squared = masked(picture, picture[:, 0])
    np.testing.assert_allclose(squared, picture**2, rtol=1e-6)
    assert squared.dtype == np.float32


@law
@given(seeds, st.permutations(range(5)))
def test_permuting_images_permutes_the_values(seed: int, turn: list[int]) -> None:
    case = example(seed)
    sure = confidences(case.network, case.images, case.maps, batch=2)
    turned = confidences(case.network, case.images[turn], case.maps[turn], batch=2)
    for values, moved in zip(sure, turned, strict=True):
        assert values is not None
        np.testing.assert_array_equal(values[turn], moved)


def test_a_score_about_one_class_needs_no_classes() -> None:
    case = example(1)
    third = confidences(lambda images: case.network(images)[:, 2], case.images, case.maps)
    wanted = confidences(case.network, case.images, case.maps, np.full(5, 2))
    np.testing.assert_array_equal(third.before, wanted.before)
    np.testing.assert_array_equal(third.after, wanted.after)
    assert third.classes is None


def test_the_first_of_equally_probable_classes_is_predicted() -> None:
    images = np.ones((3, 1, 2, 2), np.float32)
    even = np.array([0.2, 0.4, 0.4])
    np.testing.assert_array_equal(predicted_classes(lambda chunk: np.tile(even, (len(chunk), 1)), images, batch=2), 1)
    with pytest.raises(InputError, match="'score': answers one number per image"):
        predicted_classes(lambda chunk: np.full(len(chunk), 0.5), images)


def test_rounding_beyond_one_is_cut_off() -> None:
    images = np.ones((2, 1, 2, 2), np.float16)
    sure = confidences(lambda chunk: np.full(len(chunk), 1.0005), images, np.ones((2, 2, 2)))
    np.testing.assert_array_equal(sure.before, 1)


def test_images_handed_in_stay_as_they_are() -> None:
    case = example(2)
    images, saliency = case.images.copy(), case.maps.copy()
    confidences(case.network, case.images, case.maps)
    np.testing.assert_array_equal(case.images, images)
    np.testing.assert_array_equal(case.maps, saliency)


def test_images_and_maps_that_do_not_fit() -> None:
    case = example(0)
    with pytest.raises(ShapeMismatchError, match=r"images has shape \(3, 6, 7\), wanted \('B', 'C', 'H', 'W'\)"):
        confidences(case.network, case.images[0], case.maps)
    with pytest.raises(
        ShapeMismatchError, match=r"metrics.scaled enlarges it\) has shape \(5, 3, 7\), wanted \(5, 6, 7\)"
    ):
        confidences(case.network, case.images, case.maps[:, :3])
    with pytest.raises(ShapeMismatchError, match=r"has shape \(4, 6, 7\), wanted \(5, 6, 7\)"):
        masked(case.images, case.maps[:4])
    with pytest.raises(InputError, match=r"'saliency': leaves \[0, 1\]; scale it first: metrics.scaled"):
        confidences(case.network, case.images, case.maps * 2)
    with pytest.raises(InputError, match="'images': is uint8; normalise pictures"):
        confidences(case.network, case.images.astype(np.uint8), case.maps)
    with pytest.raises(InputError, match="'images': has NaN or infinite pixels"):
        confidences(case.network, case.images * np.float32(np.nan), case.maps)
    with pytest.raises(OptionError, match="batch does not take '0'"):
        confidences(case.network, case.images, case.maps, batch=0)
    with pytest.raises(OptionError, match="batch does not take '0'"):
        predicted_classes(case.network, case.images, batch=0)
    assert not case.network.sizes  # nothing was run in vain


def test_scores_that_are_none() -> None:
    case = example(0)
    logits = [[5.0, -3.0]] * 5
    with pytest.raises(InputError, match=r"'score': leaves \[0, 1\]; .* send logits through a softmax"):
        confidences(lambda _: np.array(logits), case.images, case.maps)
    with pytest.raises(InputError, match="'score': has NaN"):
        confidences(lambda _: np.full(5, np.nan), case.images, case.maps)
    for wrong in (np.zeros((3, 2)), np.zeros((5, 2, 1)), np.zeros(()), np.zeros((5, 0))):
        with pytest.raises(ShapeMismatchError, match=r"the score's answer has shape .*, wanted \(5, 'K'\)"):
            confidences(lambda _, answer=wrong: answer, case.images, case.maps)


def test_classes_that_are_none() -> None:
    case = example(0)
    with pytest.raises(ShapeMismatchError, match=r"classes has shape \(4,\), wanted \(5,\)"):
        confidences(case.network, case.images, case.maps, [0, 1, 2, 3])
    for wrong in ([0, 1, 2, 3, -1], [0.0, 1.0, 2.0, 3.0, 0.0]):
        with pytest.raises(InputError, match="'classes': has entries that are no class"):
            confidences(case.network, case.images, case.maps, wrong)
    with pytest.raises(InputError, match="'classes': names class 4; the score has 4, from 0"):
        confidences(case.network, case.images, case.maps, [0, 1, 2, 3, 4])
    with pytest.raises(InputError, match="'classes': is given, but the score is about one class only"):
        confidences(lambda images: np.full(len(images), 0.5), case.images, case.maps, [0, 1, 2, 3, 3])


def test_values_that_do_not_fit() -> None:
    for metric in (drop, increase):
        with pytest.raises(ShapeMismatchError, match=r"after has shape \(1,\), wanted \(2,\)"):
            metric([0.5, 0.5], [0.5])
        with pytest.raises(ShapeMismatchError, match=r"before has shape \(\), wanted \('B',\)"):
            metric(0.5, 0.5)
        with pytest.raises(InputError, match=r"'before': leaves \[0, 1\]; divide percentages by 100"):
            metric([50.0], [0.5])
        with pytest.raises(InputError, match="'after': has NaN"):
            metric([0.5], [np.nan])
