from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import slow_metrics
from hypothesis import given
from hypothesis import strategies as st
from metric_examples import example, law, seeds

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics import blurred, deletion, insertion

if TYPE_CHECKING:
    from collections.abc import Callable

GAMES = (deletion, insertion)
RISING = (np.exp, np.cbrt, lambda s: 3 * s - 7, lambda s: s**3 + s, np.arctan)


def mean_of_picture(images: np.ndarray) -> np.ndarray:
    """Its own score in [0, 1]: the mean, which every pixel adds to alike."""
    return images.mean((1, 2, 3), dtype=np.float64)


@pytest.mark.parametrize("game", GAMES)
@law
@given(seeds, st.integers(1, 60), st.integers(1, 400), st.booleans())
def test_areas_equal_the_slow_way(game: Callable, seed: int, steps: int, batch: int, given_classes: bool) -> None:
    case = example(seed, count=3)
    classes = np.random.default_rng(seed).integers(0, 4, 3) if given_classes else None
    areas = game(case.network, case.images, case.maps, classes, steps=steps, batch=batch)
    assert max(case.network.sizes) <= batch
    for index, (image, saliency) in enumerate(zip(case.images, case.maps, strict=True)):
        c = int(case.network(image[None])[0].argmax()) if classes is None else classes[index]
        first, last = (image, 0 * image) if game is deletion else (slow_metrics.blurred(image), image)
        wanted = slow_metrics.area(case.network, first, last, saliency, c=c, steps=steps)
        assert areas[index] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("game", GAMES)
@law
@given(seeds, st.sampled_from(RISING))
def test_only_the_order_of_pixels_counts(game: Callable, seed: int, rising: Callable[[np.ndarray], np.ndarray]) -> None:
    case = example(seed, count=2)
    areas = game(case.network, case.images, case.maps, steps=10)
    np.testing.assert_array_equal(areas, game(case.network, case.images, rising(case.maps), steps=10))
    assert (areas >= 0).all()
    assert (areas <= 1).all()


@pytest.mark.parametrize("game", GAMES)
@law
@given(seeds, st.permutations(range(4)))
def test_permuting_images_permutes_the_values(game: Callable, seed: int, turn: list[int]) -> None:
    case = example(seed, count=4)
    areas = game(case.network, case.images, case.maps, steps=9, batch=5)
    np.testing.assert_array_equal(areas[turn], game(case.network, case.images[turn], case.maps[turn], steps=9, batch=7))


@pytest.mark.parametrize("game", GAMES)
def test_the_paper_takes_225_points(game: Callable) -> None:
    case = example(0, count=2, channels=1, height=28, width=24)
    game(case.network, case.images, case.maps, [0, 1], batch=32)
    assert sum(case.network.sizes) == 2 * 225
    assert set(case.network.sizes[:-1]) == {32}


def test_no_more_points_than_pixels() -> None:
    case = example(0, count=1, height=2, width=3)
    deletion(case.network, case.images, case.maps, [0])
    assert sum(case.network.sizes) == 7


def test_a_mean_by_hand() -> None:
    picture = np.array([[[[0.8, 0.0], [0.4, 0.4]]]])
    one_hot, flat = [[[1, 0], [0, 0]]], [[[3, 3], [3, 3]]]
    curve = [0.4, 0.2, 0.2, 0.1, 0.0]  # 0.8 goes, then 0.0, 0.4, 0.4 in reading order
    for saliency in (one_hot, flat):
        assert deletion(mean_of_picture, picture, saliency) == pytest.approx(np.mean(curve) * 5 / 4 - 0.4 / 8)
    own = deletion(mean_of_picture, picture, picture[:, 0])  # the map equal to the image: 0.8, 0.4, 0.4, 0.0
    assert own == pytest.approx((0.4 / 2 + 0.2 + 0.1 + 0 + 0) / 4)
    assert deletion(mean_of_picture, picture, -picture[:, 0]) == pytest.approx((0.2 + 0.4 + 0.3 + 0.2 + 0) / 4)


def test_groups_that_differ_by_a_pixel_are_weighed_by_their_size() -> None:
    picture = np.ones((1, 1, 1, 5))
    assert deletion(mean_of_picture, picture, [[[5, 4, 3, 2, 1]]], steps=2) == pytest.approx(0.5)  # 2 and 3 pixels


def test_ties_go_in_reading_order_whatever_the_map_says_elsewhere() -> None:
    seen: list[np.ndarray] = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.extend(images[:, 0].copy())
        return np.full(len(images), 0.5)

    deletion(watch, np.ones((1, 1, 2, 3)), [[[1, 2, 1], [2, 1, 2]]])
    gone = [np.flatnonzero(before.ravel() != after.ravel()) for before, after in pairwise(seen[1:])]
    np.testing.assert_array_equal(np.concatenate(gone), [1, 3, 5, 0, 2, 4])


def test_insertion_by_hand() -> None:
    steady = np.full((2, 3, 16, 16), 0.25)  # blurred, it is itself: the curve is flat
    np.testing.assert_allclose(insertion(mean_of_picture, steady, np.zeros((2, 16, 16))), 0.25)
    dot = np.zeros((1, 1, 31, 31))
    dot[..., 15, 15] = 1
    last_score = 1 / 31**2  # the blur keeps the mean, and so does the whole picture
    hit, miss = insertion(mean_of_picture, dot, dot[:, 0]), insertion(mean_of_picture, dot, -dot[:, 0])
    assert hit > last_score > miss


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 4), (40, 30)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_blur_equals_scipys(size: tuple[int, int], dtype: type) -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(dtype)
    soft = blurred(images)
    assert soft.dtype == dtype
    wanted = np.array([slow_metrics.blurred(image) for image in images])
    np.testing.assert_allclose(soft, wanted, atol=1e-3 if dtype == np.float16 else 1e-6)


def test_the_blurs_taps_by_hand() -> None:
    dot = np.zeros((1, 1, 21, 21))
    dot[..., 10, 10] = 1
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    taps /= taps.sum()
    wanted = np.zeros((21, 21))
    wanted[5:16, 5:16] = np.outer(taps, taps)
    np.testing.assert_allclose(blurred(dot)[0, 0], wanted, atol=1e-9)


@pytest.mark.parametrize("game", GAMES)
def test_what_does_not_fit(game: Callable) -> None:
    case = example(0)
    with pytest.raises(
        ShapeMismatchError, match=r"metrics.scaled enlarges it\) has shape \(5, 2, 2\), wanted \(5, 6, 7\)"
    ):
        game(case.network, case.images, case.maps[:, :2, :2])
    with pytest.raises(ShapeMismatchError, match="images has shape"):
        game(case.network, case.images[0], case.maps[0])
    with pytest.raises(InputError, match="'saliency': has NaN or infinite cells"):
        game(case.network, case.images, case.maps * np.nan)
    with pytest.raises(InputError, match="'images': has NaN or infinite pixels"):
        game(case.network, case.images * np.float32(np.nan), case.maps)
    with pytest.raises(OptionError, match="steps does not take '0'; it takes a count of at least 1"):
        game(case.network, case.images, case.maps, steps=0)
    with pytest.raises(OptionError, match="batch does not take '0'"):
        game(case.network, case.images, case.maps, batch=0)
    assert not case.network.sizes  # nothing was run in vain
    with pytest.raises(InputError, match=r"'score': leaves \[0, 1\]"):
        game(lambda images: 100 * case.network(images), case.images, case.maps)
    with pytest.raises(InputError, match="'classes': names class 9"):
        game(case.network, case.images, case.maps, [9, 0, 0, 0, 0])
