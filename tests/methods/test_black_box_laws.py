"""What every black-box method keeps to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_networks import HEIGHT, WIDTH, Asked, problem, random_network

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods.extremal import Extremal
from onnx_reciprocam.methods.kernel_shap import KernelShap
from onnx_reciprocam.methods.lime_superpixels import Lime
from onnx_reciprocam.methods.occlusion import Occlusion
from onnx_reciprocam.methods.rise import RISE
from onnx_reciprocam.methods.scorecam import ScoreCAM

if TYPE_CHECKING:
    from onnx_reciprocam.methods import BlackBox

METHODS = [ScoreCAM(), RISE(70), Occlusion(), Lime(70), KernelShap(130), Extremal(5)]
every = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@every
def test_maps_lie_on_the_pixels_one_per_class(method: BlackBox) -> None:
    values = method.explain(problem(random_network(), classes=np.array([0, 2]))).values
    assert values.shape == (2, HEIGHT, WIDTH)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert (values.std(axis=(1, 2)) > 0).all()


@every
def test_several_classes_at_once_equal_one_at_a_time(method: BlackBox) -> None:
    whole = problem(random_network(), classes=np.array([2, 0, 2]))
    values = method.explain(whole).values
    for index, c in enumerate(whole.classes):
        alone = method.explain(replace(whole, classes=np.array([c])))
        np.testing.assert_allclose(values[index], alone.values[0], rtol=1e-4, atol=1e-6)


@every
def test_the_same_seed_draws_the_same_map_and_another_seed_another_one(method: BlackBox) -> None:
    first, again, other = (method.explain(problem(random_network(), seed=seed)).values for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == method.drawn


@every
def test_no_more_than_32_images_exist_at_once(method: BlackBox) -> None:
    asked = Asked(random_network())
    method.explain(problem(asked.network, asked=asked))
    assert max(asked.sizes) <= 32


@every
def test_progress_grows_to_the_end(method: BlackBox) -> None:
    asked = Asked(random_network())
    method.explain(problem(asked.network, asked=asked, classes=np.array([0, 1])))
    done, totals = zip(*asked.progress, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1]
    assert len(set(totals)) == 1


@every
def test_the_image_is_left_as_it_was(method: BlackBox) -> None:
    asked = problem(random_network())
    before = asked.image.copy()
    method.explain(asked)
    np.testing.assert_array_equal(asked.image, before)


@every
def test_samples_are_checked(method: BlackBox) -> None:
    wrong = 5 if method.samples is None else 0
    with pytest.raises(OptionError, match=f"--samples does not take '{wrong}'"):
        type(method)(wrong)
    assert type(method)().count == (method.samples or 1)
