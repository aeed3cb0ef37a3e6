from __future__ import annotations

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from metric_examples import law, maps, seeds

from onnx_reciprocam.errors import InputError, ShapeMismatchError
from onnx_reciprocam.metrics import complexity, scaled


@law
@given(maps(low=0, high=1))
def test_complexity_equals_the_slow_way(saliency: np.ndarray) -> None:
    values = complexity(saliency)
    np.testing.assert_allclose(values, [slow_metrics.complexity(own) for own in saliency], atol=1e-6)
    assert (values >= 0).all()
    assert (values <= 1).all()


def test_by_hand() -> None:
    one_hot = np.zeros((1, 4, 5))
    one_hot[0, 2, 3] = 1
    np.testing.assert_allclose(complexity(one_hot), 1 / 20)
    np.testing.assert_allclose(complexity(np.ones((2, 4, 5))), 1)
    np.testing.assert_array_equal(complexity(scaled(np.full((2, 3, 3), 7.0), 8, 8)), 0)


def test_enlarging_by_a_whole_number_keeps_the_mean() -> None:
    cells = np.random.default_rng(0).random((3, 7, 7))
    cells[:, 0, :2] = 0, 1
    np.testing.assert_allclose(complexity(scaled(cells, 224, 224)), cells.mean((1, 2)), atol=1e-12)


@law
@given(seeds, st.permutations(range(5)))
def test_permuting_images_permutes_the_values(seed: int, turn: list[int]) -> None:
    saliency = np.random.default_rng(seed).random((5, 4, 4))
    np.testing.assert_array_equal(complexity(saliency)[turn], complexity(saliency[turn]))


def test_maps_that_are_none() -> None:
    with pytest.raises(ShapeMismatchError, match=r"saliency has shape \(3, 3\), wanted \('B', 'H', 'W'\)"):
        complexity(np.eye(3))
    with pytest.raises(InputError, match=r"leaves \[0, 1\]; scale it first: metrics.scaled\(saliency, height, width\)"):
        complexity(np.full((1, 2, 2), 1.1))
    with pytest.raises(InputError, match="has NaN or infinite cells"):
        complexity(np.full((1, 2, 2), np.nan))
