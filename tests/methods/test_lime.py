from __future__ import annotations

import sys

import numpy as np
import pytest
from fake_networks import Additive, problem, random_network, region

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.methods.lime_superpixels import Lime
from onnx_reciprocam.methods.superpixels import superpixels

BASELINE = np.array([0.3, -0.2, 1], np.float32)


def test_maps_equal_the_package_called_directly() -> None:
    from lime.lime_image import LimeImageExplainer

    network = random_network()
    asked = problem(network, seed=11, classes=np.array([2, 0]), baseline=BASELINE)
    found = Lime(200).explain(asked)
    direct = LimeImageExplainer(random_state=11).explain_instance(
        np.moveaxis(asked.image, 0, -1),
        lambda images: network(np.moveaxis(images, -1, 1)),
        labels=(2, 0),
        hide_color=BASELINE,
        top_labels=None,
        num_samples=200,
        segmentation_fn=lambda _: superpixels(asked.picture),
    )
    for index, c in enumerate((2, 0)):
        wanted = np.full(found.values[0].shape, np.nan)
        for superpixel, weight in direct.local_exp[c]:
            wanted[direct.segments == superpixel] = weight
        np.testing.assert_allclose(found.values[index], wanted, rtol=1e-3, atol=1e-6)
    assert np.abs(found.values).max() > 1e-3


def test_superpixels_are_about_fifty_and_none_is_left_out() -> None:
    labels = superpixels(problem(random_network()).picture)
    assert 25 <= labels.max() + 1 <= 60
    assert set(labels.flat) == set(range(labels.max() + 1))
    np.testing.assert_array_equal(labels, superpixels(problem(random_network()).picture))


def test_a_plain_picture_has_superpixels_too() -> None:
    assert superpixels(np.full((32, 48, 3), 128, np.uint8)).max() > 10


def test_it_points_at_the_region_that_the_network_looks_at() -> None:
    rows, columns = slice(8, 20), slice(26, 42)
    image = np.ones((3, 32, 48), np.float32)
    asked = problem(Additive(region(rows, columns)), image=image)
    values, labels = Lime(400).explain(asked).values[0], superpixels(asked.picture)
    seen = np.bincount(labels.flat, region(rows, columns)[1, 0].flat) > 0
    assert values[~seen[labels]].max() < 0.1 * values.max()
    assert (
        np.corrcoef(values.flat, np.bincount(labels.flat, region(rows, columns)[1, 0].flat)[labels].flat)[0, 1] > 0.95
    )


def test_one_channel_is_enough() -> None:
    network = Additive(np.random.default_rng(0).normal(0, 1, (2, 1, 32, 48)))
    asked = problem(network, image=np.ones((1, 32, 48), np.float32), baseline=np.zeros(1, np.float32))
    assert Lime(50).explain(asked).values.any()


def test_nothing_else_sees_that_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    from lime import lime_image

    np.random.random()  # noqa: NPY002 - the state that is to be left alone, unlike any that was left before
    state, bar = np.random.get_state(), lime_image.tqdm  # noqa: NPY002
    Lime(40).explain(problem(random_network()))
    assert str(np.random.get_state()) == str(state)  # noqa: NPY002
    assert lime_image.tqdm is bar
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("module", "package"), [("lime", "lime"), ("skimage.segmentation", "scikit-image")])
def test_a_missing_package_is_named(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"needs {package}.*\[blackbox\]"):
        Lime(40).explain(problem(random_network()))
