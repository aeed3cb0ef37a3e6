from __future__ import annotations

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from metric_examples import law, shares

from onnx_reciprocam.errors import InputError, ShapeMismatchError
from onnx_reciprocam.metrics import adcc

METHODS = ("GradCAM", "GradCAM++", "SmoothGradCAM++", "ScoreCAM", "ReciproCAM")
PUBLISHED = {
    "VGG-16": (
        (66.42, 69.20, 15.65, 53.52),
        (32.88, 89.34, 26.33, 75.65),
        (36.72, 82.68, 28.09, 71.72),
        (26.13, 93.83, 20.27, 81.66),
        (21.51, 92.24, 27.48, 80.27),
    ),
    "ResNet-18": (
        (42.90, 81.03, 23.04, 69.98),
        (17.85, 98.18, 44.63, 74.24),
        (20.67, 97.53, 43.11, 74.20),
        (12.81, 98.35, 41.78, 77.30),
        (20.68, 97.38, 33.60, 79.08),
    ),
    "ResNet-50": (
        (32.99, 82.80, 22.24, 75.27),
        (12.82, 97.84, 43.99, 75.86),
        (15.21, 97.47, 42.25, 76.19),
        (8.61, 98.12, 42.05, 78.14),
        (15.69, 96.68, 32.90, 80.84),
    ),
    "ResNet-101": (
        (29.38, 81.97, 22.51, 76.40),
        (11.38, 98.28, 43.94, 76.34),
        (13.37, 97.76, 42.61, 76.54),
        (7.20, 98.37, 42.04, 78.55),
        (15.07, 97.21, 32.45, 81.38),
    ),
    "ResNeXt-50": (
        (28.06, 82.72, 25.57, 76.09),
        (11.12, 97.30, 48.66, 73.16),
        (12.70, 97.32, 47.48, 73.58),
        (7.20, 98.00, 46.86, 75.38),
        (13.70, 96.37, 37.36, 79.10),
    ),
    "ResNeXt-101": (
        (24.12, 82.94, 25.45, 77.62),
        (9.74, 95.05, 46.27, 74.61),
        (9.49, 96.81, 49.24, 73.03),
        (5.37, 97.03, 46.83, 75.60),
        (12.03, 97.50, 35.62, 80.74),
    ),
}
"""Drop, coherency, complexity and ADCC in percent (arXiv:2209.14074), a row per method."""

ROWS = [
    pytest.param(*row, id=f"{network}, {method}")
    for network, rows in PUBLISHED.items()
    for method, row in zip(METHODS, rows, strict=True)
]

values = arrays.arrays(np.float64, st.tuples(st.just(3), st.integers(1, 6)), elements=shares)


@pytest.mark.parametrize(("dropped", "coherent", "complicated", "published"), ROWS)
def test_published_rows_follow_from_their_own_parts(
    dropped: float, coherent: float, complicated: float, published: float
) -> None:
    assert 100 * adcc(dropped / 100, coherent / 100, complicated / 100) == pytest.approx(published, abs=0.05)


def test_all_thirty_rows_are_there() -> None:
    assert len(ROWS) == 30


@law
@given(values)
def test_adcc_equals_scipys_harmonic_mean(per_image: np.ndarray) -> None:
    np.testing.assert_allclose(adcc(*per_image), slow_metrics.adcc(*per_image), atol=1e-6)


@law
@given(values)
def test_adcc_lies_between_its_smallest_and_its_largest_term(per_image: np.ndarray) -> None:
    dropped, coherent, complicated = per_image.mean(1)
    terms = (coherent, 1 - complicated, 1 - dropped)
    assert min(terms) - 1e-12 <= adcc(*per_image) <= max(terms) + 1e-12


@law
@given(values)
def test_the_mean_of_per_image_figures_is_never_higher(per_image: np.ndarray) -> None:
    assert np.mean([adcc(*image) for image in per_image.T]) <= adcc(*per_image) + 1e-12


@law
@given(values, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_count(per_image: np.ndarray, random: np.random.Generator) -> None:
    turn = list(range(per_image.shape[1]))
    random.shuffle(turn)
    assert adcc(*per_image[:, turn]) == pytest.approx(adcc(*per_image), abs=1e-12)


def test_by_hand() -> None:
    assert adcc(0, 1, 0) == 1
    assert adcc(0.5, 0.5, 0.5) == pytest.approx(0.5)
    assert adcc([0.0, 1.0], [1.0, 0.0], [0.0, 1.0]) == pytest.approx(0.5)  # per image: 1 and 0 at best
    for lost in ((1, 1, 0), (0, 0, 0), (0, 1, 1)):
        assert adcc(*lost) == 0


def test_values_that_do_not_fit() -> None:
    with pytest.raises(ShapeMismatchError, match=r"coherencies has shape \(1,\), wanted \(2,\)"):
        adcc([0.5, 0.5], [0.5], [0.5, 0.5])
    with pytest.raises(ShapeMismatchError, match=r"complexities has shape \(\), wanted \(2,\)"):
        adcc([0.5, 0.5], [0.5, 0.5], 0.5)
    for wrong in (np.zeros(0), np.zeros((1, 1))):
        with pytest.raises(ShapeMismatchError, match=r"drops has shape .*, wanted \('B',\)"):
            adcc(wrong, wrong, wrong)
    with pytest.raises(InputError, match=r"'drops': leaves \[0, 1\]; divide percentages by 100"):
        adcc(21.51, 0.9, 0.2)
    with pytest.raises(InputError, match="'complexities': has NaN"):
        adcc(0.2, 0.9, np.nan)
