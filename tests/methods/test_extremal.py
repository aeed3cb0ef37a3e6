from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from fake_networks import HEIGHT, WIDTH, Energy, problem, region
from scipy.ndimage import gaussian_filter

from onnx_reciprocam.methods.extremal import AREA, Extremal, Search
from onnx_reciprocam.methods.extremal_masks import Pyramid, SmoothMasks
from onnx_reciprocam.refusals import GradientError

SHAPES = [(15, 20, 7), (9, 12, 3), (6, 5, 1)]
ROWS, COLUMNS = slice(5, 15), slice(19, 29)
"""A region that is its own mirror image."""


def slow_mask(parameters: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
    """TorchRay's, value by value; sigma and margin are three steps."""
    sigma = margin = 3 * step
    padding, radius = 1 + math.ceil((margin + sigma) / step), 1 + math.ceil(sigma / step)
    sizes = [step * (math.ceil(n / step) + 2 * padding - 2 * radius) - step + 1 for n in (height, width)]
    mask = np.empty(sizes)
    for y, x in product(*map(range, sizes)):
        values = []
        for down, right in product(range(2 * radius + 1), repeat=2):
            row, column = y // step + down - padding, x // step + right - padding
            far = math.hypot(y - margin - step * row, x - margin - step * column)
            inside = 0 <= row < parameters.shape[0] and 0 <= column < parameters.shape[1]
            own = parameters[row, column] if inside else 0
            values.append(math.exp(-2 * max(far / sigma - 0.5, 0) ** 2) * own)
        shares = [math.exp(20 * value) for value in values]
        mask[y, x] = sum(value * share for value, share in zip(values, shares, strict=True)) / sum(shares)
    return mask


def slow_image(image: np.ndarray, baseline: np.ndarray, sigma: float, mask: np.ndarray) -> np.ndarray:
    """A pyramid of eight levels, read pixel by pixel."""
    flat = np.broadcast_to(baseline[:, None, None], image.shape)
    levels = []
    for level in range(8):
        width = sigma * (1 - level / 7)
        soft = [gaussian_filter(plane, width, mode="constant", radius=math.ceil(4 * width)) for plane in image - flat]
        levels.append(np.stack(soft) + flat)
    found = np.empty_like(image)
    for y, x in product(*map(range, mask.shape)):
        level = int(7 * mask[y, x])
        share = 7 * mask[y, x] - level
        found[:, y, x] = (1 - share) * levels[level][:, y, x] + share * levels[min(level + 1, 7)][:, y, x]
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_masks_equal_the_slow_way(shape: tuple[int, int, int]) -> None:
    masks = SmoothMasks(*shape)
    parameters = np.random.default_rng(0).random(masks.grid)
    mask, _ = masks.generate(parameters)
    np.testing.assert_allclose(mask, slow_mask(parameters, *shape), rtol=1e-12)
    assert mask[masks.image].shape == shape[:2]


def test_images_equal_the_slow_way() -> None:
    generator = np.random.default_rng(0)
    image, baseline, mask = generator.normal(0, 1, (2, 20, 26)), np.array([1.0, -2]), generator.random((20, 26))
    mask[0, :2] = 0, 1
    found, _ = Pyramid(image, baseline, 3.0).apply(mask)
    np.testing.assert_allclose(found, slow_image(image, baseline, 3.0, mask), atol=1e-10)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_the_gradient_is_that_of_finite_differences(shape: tuple[int, int, int], mirrored: bool) -> None:
    generator = np.random.default_rng(2)
    network = Energy(generator.normal(0, 1, (3, 2, *shape[:2])))
    image, baseline = generator.normal(0, 1, (2, *shape[:2])), np.array([0.5, -0.5])
    masks = SmoothMasks(*shape)
    parameters, weight = generator.random(masks.grid), 300.0

    def climbed(values: np.ndarray) -> float:
        mask = slow_mask(values, *shape)
        kept = slow_image(image, baseline, 2.0, mask[masks.image])
        ordered = np.sort(mask.ravel())
        wanted = np.ones_like(ordered)
        wanted[: int(len(ordered) * (1 - AREA))] = 0
        score = network(kept[None, :, :, ::-1] if mirrored else kept[None])[0, 1]
        return float(score - weight * ((ordered - wanted) ** 2).mean())

    search = Search(masks, Pyramid(image, baseline, 2.0), network.gradient, 3)
    _, gradient = search(parameters, 1, weight, mirrored=mirrored)
    for direction in generator.normal(0, 1, (4, *masks.grid)):
        step = 1e-6 * direction
        slope = (climbed(parameters + step) - climbed(parameters - step)) / 2e-6
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5)


def test_it_points_at_the_region_that_the_network_looks_at_with_the_area_wanted() -> None:
    checks = np.where(np.indices((HEIGHT, WIDTH)).sum(0) % 2, 1, -1).astype(np.float32)  # blurred, they vanish
    asked = problem(Energy(0.1 * region(ROWS, COLUMNS)), image=np.stack([checks] * 3))
    values = Extremal().explain(asked).values[0]
    inside = np.zeros(values.shape, bool)
    inside[ROWS, COLUMNS] = True
    assert values[inside].mean() > 0.8
    assert values.min() >= 0
    assert values.max() <= 1
    margins = (HEIGHT + 2 * 3) * (WIDTH + 2 * 3)  # about: the mask reaches further than the image
    assert values.sum() / margins == pytest.approx(AREA, rel=0.35)
    far = np.ones(values.shape, bool)
    far[:21, 11:37] = False
    assert values[far].mean() < 0.1


def test_the_usual_image_has_the_papers_step() -> None:
    assert SmoothMasks(224, 224, 7).grid == (32, 32)


def test_no_gradient_no_map() -> None:
    with pytest.raises(GradientError, match="follows the gradient of the score, and there is none"):
        Extremal(1).explain(problem(Energy(region(ROWS, COLUMNS)), gradient=None))
