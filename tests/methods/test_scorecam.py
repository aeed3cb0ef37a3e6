from __future__ import annotations

import math

import numpy as np
import pytest
from fake_networks import Additive, Asked, pool, problem, random_network, slow_bilinear

from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.methods.scorecam import ScoreCAM


def slow_scorecam(network: Additive, image: np.ndarray, c: int) -> np.ndarray:
    """Algorithm 1 with the score of the empty image subtracted, as the paper writes it."""
    features, scores = pool(image), []
    for channel in features:
        plane = slow_bilinear(channel, *image.shape[1:])
        low, high = min(plane.flat), max(plane.flat)
        mask = [[(value - low) / (high - low) if high > low else 0 for value in row] for row in plane]
        scores.append(network((image * np.array(mask))[None])[0, c] - network(0 * image[None])[0, c])
    whole = sum(math.exp(score) for score in scores)
    total = sum(math.exp(score) / whole * channel for score, channel in zip(scores, features, strict=True))
    return slow_bilinear(np.where(total > 0, total, 0), *image.shape[1:])


def test_maps_equal_the_slow_way() -> None:
    logits = random_network().logits
    asked = problem(logits, classes=np.array([2, 0]))
    found = ScoreCAM().explain(asked)
    assert found.error is None
    wanted = [slow_scorecam(logits, asked.image, c) for c in (2, 0)]
    np.testing.assert_allclose(found.values, wanted, rtol=1e-4, atol=1e-5)
    assert np.abs(wanted[0] - wanted[1]).max() > 0.1


def test_a_flat_channel_hides_the_whole_image() -> None:
    asked = Asked(random_network())
    ScoreCAM().explain(problem(asked.network, asked=asked))
    assert not asked.images[-1].any()
    assert asked.images[-2].any()


@pytest.mark.parametrize("classes", [1, 3])
def test_a_channel_is_an_inference_however_many_classes(classes: int) -> None:
    asked = Asked(random_network())
    ScoreCAM().explain(problem(asked.network, asked=asked, classes=np.arange(classes)))
    assert sum(asked.sizes) == 5


def test_large_logits_do_not_overflow() -> None:
    network = Additive(1e4 * random_network().logits.looks)
    assert np.isfinite(ScoreCAM().explain(problem(network, classes=np.arange(3))).values).all()


def test_no_target_no_map() -> None:
    with pytest.raises(UnsupportedModelError, match="the model has none"):
        ScoreCAM().explain(problem(random_network(), features=None))
