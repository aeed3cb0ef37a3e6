from __future__ import annotations

import numpy as np
import pytest
from fake_networks import Additive, problem, random_network, region

from onnx_reciprocam.methods.occlusion import Occlusion

SIZES = [(32, 48), (48, 32), (7, 7), (14, 25), (5, 9), (1, 3), (1, 1)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_maps_equal_the_slow_way(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    network = Additive(generator.normal(0, 1, (3, 2, *size)))
    image, baseline = generator.normal(0, 1, (2, *size)).astype(np.float32), np.array([0.5, -2], np.float32)
    found = Occlusion().explain(problem(network, image=image, baseline=baseline, classes=np.array([2, 0])))
    side = max(1, round(min(size) / 7))
    stride = max(1, side // 2)
    corners = [sorted({min(at, length - side) for at in range(0, length, stride)}) for length in size]
    drops: dict[tuple[int, int], list[np.ndarray]] = {}
    for top in corners[0]:
        for left in corners[1]:
            copy = image.copy()
            copy[:, top : top + side, left : left + side] = baseline[:, None, None]
            drop = (network(image[None]) - network(copy[None]))[0, [2, 0]]
            for row in range(top, top + side):
                for column in range(left, left + side):
                    drops.setdefault((row, column), []).append(drop)
    assert len(drops) == size[0] * size[1]  # every pixel was hidden
    for (row, column), values in drops.items():
        np.testing.assert_allclose(found.values[:, row, column], np.mean(values, axis=0), rtol=1e-4, atol=1e-4)


def test_it_points_at_the_region_that_the_network_looks_at_and_nowhere_else() -> None:
    rows, columns = slice(8, 16), slice(28, 40)
    asked = problem(Additive(region(rows, columns)))
    values = Occlusion().explain(asked).values[0]
    near = np.zeros(values.shape, bool)
    near[8 - 4 : 16 + 4, 28 - 4 : 40 + 4] = True  # a patch is 5 pixels wide
    assert np.abs(values[near]).max() > 1
    assert np.abs(values[~near]).max() < 1e-4


def test_the_number_of_inferences_of_a_usual_image_is_as_said() -> None:
    counts: list[int] = []
    image = np.zeros((3, 224, 224), np.float32)
    asked = problem(random_network(), image=image, progress=lambda done, _total: counts.append(done))
    Occlusion().explain(
        problem(
            random_network(),
            image=image,
            score=lambda images: np.zeros((len(images), 3), np.float32),
            progress=asked.progress,
        )
    )
    assert counts[-1] == 170
