"""Entropy against its textbook form, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnx_reciprocam.reporting.facts import SHOWN, entropy, facts, flat

MAPS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(2, 5)), elements=st.floats(-100, 100, width=16)
)


def slow(saliency: np.ndarray) -> float:
    """``-sum p log p`` over ``log N``, cell by cell."""
    cells = [float(cell) - float(saliency.min()) for cell in saliency.reshape(-1)]
    total = math.fsum(cells)
    if total == 0:
        return 1.0
    return -sum(cell / total * math.log(cell / total) for cell in cells if cell > 0) / math.log(len(cells))


@given(MAPS)
def test_it_is_the_textbook_s(saliency: np.ndarray) -> None:
    assert entropy(saliency) == pytest.approx(slow(saliency), abs=1e-9)


@given(MAPS, st.sampled_from([0.5, 4.0]), st.sampled_from([-64.0, 32.0]))
def test_scale_and_zero_do_not_count(saliency: np.ndarray, scale: float, shift: float) -> None:
    assert entropy(saliency.astype(np.float64) * scale + shift) == pytest.approx(entropy(saliency), abs=1e-9)


def test_its_ends() -> None:
    one = np.zeros((4, 4), np.float32)
    assert entropy(one) == 1.0
    one[1, 2] = 3
    assert entropy(one) == 0.0
    one[2, 2] = 3
    assert entropy(one) == pytest.approx(math.log(2) / math.log(16))
    assert entropy(np.ones((1, 1), np.float32)) == 1.0


def test_flat_maps_are_the_same_everywhere() -> None:
    maps = np.stack([np.full((2, 3), 0.1), np.eye(2, 3), np.zeros((2, 3)), np.full((2, 3), np.nan)])
    assert flat(maps).tolist() == [True, False, True, False]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_that_is_not_finite_has_none(bad: float) -> None:
    assert entropy(np.array([[0, bad]], np.float32)) is None


def test_the_best_scored_classes_come_first() -> None:
    told = {"top_classes": [7, 4, 9], "classes": [1, 9, 2, 7, 4]}
    found = facts(told, np.zeros((5, 2, 2), np.float32))
    assert [(each.class_id, each.place) for each in found] == [(7, 3), (4, 4), (9, 1)]
    assert len(found) == SHOWN
