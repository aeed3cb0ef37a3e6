from __future__ import annotations

import numpy as np
import pytest
from fake_networks import HEIGHT, WIDTH, Additive, Asked, problem, random_network, region, slow_bilinear

from onnx_reciprocam.methods.rise import RISE


def drawn_masks(samples: int, seed: int, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """What an image of ones looks like behind them."""
    asked = Asked(Additive(np.zeros((2, 1, height, width))))
    ones = np.ones((1, height, width), np.float32)
    RISE(samples).explain(problem(asked.network, asked=asked, image=ones, seed=seed))
    return [image[0] for image in asked.images]


def test_maps_equal_the_slow_way() -> None:
    network, samples = random_network(), 70
    asked = problem(network, seed=3, classes=np.array([2, 0]))
    found = RISE(samples).explain(asked)
    masks, noises, spreads = drawn_masks(samples, 3), [], []
    for index, c in enumerate((2, 0)):
        terms = [network((asked.image * mask)[None])[0, c] * mask / 0.5 for mask in masks]
        wanted = sum(terms) / samples
        np.testing.assert_allclose(found.values[index], wanted, rtol=1e-5, atol=1e-6)
        apart = sum(terms[0::2]) / 35 - sum(terms[1::2]) / 35
        noises.append(np.var(apart) / 4)
        spreads.append(wanted.var())
    noise, spread = np.mean(noises), np.mean(spreads)
    assert found.error == pytest.approx((noise / (spread - noise)) ** 0.5 if spread > noise else np.inf, rel=1e-4)


@pytest.mark.parametrize("size", [(32, 48), (21, 14), (9, 5), (7, 30)])
def test_masks_equal_the_slow_way(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(5)
    for mask in drawn_masks(4, 5, *size):
        grid = generator.random((7, 7)) < 0.5
        cell = [-(-length // 7) for length in size]
        down, right = generator.integers(cell)
        whole = slow_bilinear(grid, 8 * cell[0], 8 * cell[1])
        np.testing.assert_allclose(mask, whole[down : down + size[0], right : right + size[1]], atol=1e-6)


def test_the_error_is_how_far_a_map_is_from_that_of_endless_samples() -> None:
    network, image = Additive(region(slice(4, 20), slice(6, 26))), np.ones((3, HEIGHT, WIDTH), np.float32)
    endless = RISE(20000).explain(problem(network, image=image, seed=99)).values[0]
    for samples in (400, 1600):
        said, off = [], []
        for seed in range(4):
            found = RISE(samples).explain(problem(network, image=image, seed=seed))
            said.append(found.error)
            off.append((found.values[0] - endless).std() / endless.std())
        assert np.mean(off) == pytest.approx(np.mean(said), rel=0.5)


def test_a_map_of_nothing_but_chance_says_so() -> None:
    """A network that draws its scores: no map is behind it."""
    rng = np.random.default_rng(0)
    errors = []
    for seed in range(4):
        found = RISE(200).explain(problem(lambda images: rng.random((len(images), 3)), seed=seed))
        errors.append(found.error)
    assert np.median(errors) > 1


def test_masks_of_fewer_samples_come_first() -> None:
    np.testing.assert_array_equal(drawn_masks(40, 0)[:3], drawn_masks(3, 0))


def test_one_sample_has_no_error() -> None:
    assert RISE(1).explain(problem(random_network())).error is None


def test_it_points_at_the_region_that_the_network_looks_at() -> None:
    rows, columns = slice(18, 28), slice(30, 44)
    image = np.ones((3, HEIGHT, WIDTH), np.float32)
    values = RISE(400).explain(problem(Additive(region(rows, columns)), image=image)).values[0]
    inside = np.zeros(values.shape, bool)
    inside[rows, columns] = True
    assert inside.flat[values.argmax()]
    assert values[inside].mean() > values.mean() + 2 * values[~inside].std()
