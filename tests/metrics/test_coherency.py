from __future__ import annotations

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from metric_examples import example, law, maps, seeds

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics import coherency, explained_again, minmax

cells = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))
pairs = st.tuples(st.just(2), st.integers(1, 3), st.integers(1, 5), st.integers(2, 5)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=cells)
)


@law
@given(seeds, st.integers(1, 4))
def test_coherency_equals_scipys_pearson(seed: int, step: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, step + 1, (2, 4, 3, 5)) / step
    wanted = [slow_metrics.coherency(own, again) for own, again in zip(first, second, strict=True)]
    np.testing.assert_allclose(coherency(first, second), wanted, atol=1e-6)


@law
@given(pairs)
def test_coherency_lies_in_its_range_and_has_no_first(pair: np.ndarray) -> None:
    values = coherency(*pair)
    assert (values >= 0).all()
    assert (values <= 1).all()
    np.testing.assert_allclose(values, coherency(*pair[::-1]), atol=1e-12)


@law
@given(maps(), st.floats(0.1, 10), st.floats(-10, 10))
def test_scale_does_not_count(saliency: np.ndarray, factor: float, shift: float) -> None:
    saliency = np.round(minmax(saliency) * 16)  # far from what a shift rounds away
    flat = saliency.min((1, 2)) == saliency.max((1, 2))
    np.testing.assert_allclose(coherency(saliency, factor * saliency + shift), np.where(flat, 0, 1), atol=1e-9)
    np.testing.assert_allclose(coherency(saliency, -factor * saliency + shift), 0, atol=1e-9)


def test_by_hand() -> None:
    one_hot = [[[1, 0], [0, 0]]]
    np.testing.assert_allclose(coherency(one_hot, one_hot), 1)
    np.testing.assert_allclose(coherency(one_hot, [[[0, 1], [0, 0]]]), 1 / 3)  # r = -1 / (HW - 1)
    np.testing.assert_allclose(coherency([[[1, 0], [1, 0]]], [[[1, 1], [0, 0]]]), 0.5)


@law
@given(st.floats(-1e300, 1e300))
def test_a_flat_map_coheres_with_nothing(value: float) -> None:
    flat, other = np.full((1, 3, 3), value), np.eye(3)[None]
    for pair in ((flat, other), (other, flat), (flat, flat)):
        np.testing.assert_array_equal(coherency(*pair), 0)


@law
@given(seeds, st.permutations(range(5)))
def test_permuting_images_permutes_the_values(seed: int, turn: list[int]) -> None:
    first, second = np.random.default_rng(seed).random((2, 5, 4, 4))
    np.testing.assert_array_equal(coherency(first, second)[turn], coherency(first[turn], second[turn]))


@law
@given(seeds, st.integers(1, 7))
def test_maps_of_what_is_left_equal_the_slow_way(seed: int, batch: int) -> None:
    case = example(seed)
    classes = np.random.default_rng(seed).integers(0, 4, 5)

    def coarse(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return case.network.explain(images, chosen)[:, ::2, ::3]

    again = explained_again(coarse, case.images, case.maps, classes, batch=batch)
    assert max(case.network.sizes) <= batch
    for index, c in enumerate(classes):
        left = slow_metrics.masked(case.images[index], case.maps[index])
        wanted = slow_metrics.upsample(slow_metrics.minmax(coarse(left[None], [c])[0]), 6, 7)
        np.testing.assert_allclose(again[index], wanted, atol=1e-6)


def test_an_explainer_about_one_class_gets_no_classes() -> None:
    case = example(0)
    seen = []

    def explain(images: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
        seen.append(classes)
        return images[:, 0]

    explained_again(explain, case.images, case.maps, None, batch=3)
    assert seen == [None, None]


def test_what_does_not_fit() -> None:
    case = example(0)
    with pytest.raises(ShapeMismatchError, match=r"again has shape \(5, 6, 6\), wanted \(5, 6, 7\)"):
        coherency(case.maps, case.maps[..., :6])
    with pytest.raises(ShapeMismatchError, match="saliency has shape"):
        coherency(case.maps[0], case.maps[0])
    with pytest.raises(InputError, match="'again': has NaN or infinite cells"):
        coherency(case.maps, case.maps * np.nan)
    with pytest.raises(ShapeMismatchError, match=r"the explainer's maps has shape \(1, 6, 7\), wanted \(5, 'h', 'w'\)"):
        explained_again(lambda images, _: images[:1, 0], case.images, case.maps, None)
    with pytest.raises(InputError, match=r"the explainer's maps.*: has NaN"):
        explained_again(lambda images, _: images[:, 0] * np.nan, case.images, case.maps, None)
    with pytest.raises(InputError, match=r"'saliency': leaves \[0, 1\]"):
        explained_again(case.network.explain, case.images, case.maps - 1, None)
    with pytest.raises(ShapeMismatchError, match=r"classes has shape \(1,\), wanted \(5,\)"):
        explained_again(case.network.explain, case.images, case.maps, [0])
    with pytest.raises(OptionError, match="batch does not take '0'"):
        explained_again(case.network.explain, case.images, case.maps, None, batch=0)
