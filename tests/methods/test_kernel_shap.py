from __future__ import annotations

import sys

import numpy as np
import pytest
from fake_networks import Additive, problem, random_network, region

from onnx_reciprocam.errors import MissingPackageError, OptionError
from onnx_reciprocam.methods.kernel_shap import KernelShap
from onnx_reciprocam.methods.superpixels import superpixels

BASELINE = np.array([0.3, -0.2, 1], np.float32)


def by_superpixel(maps: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``[K, superpixels]``; every pixel of one says the same."""
    found = np.stack([maps[:, labels == index][:, 0] for index in range(labels.max() + 1)], axis=1)
    np.testing.assert_array_equal(found[:, labels], maps)
    return found


def test_maps_equal_the_package_called_directly() -> None:
    network = random_network()
    asked = problem(network, seed=11, classes=np.array([2, 0]), baseline=BASELINE)
    labels = superpixels(asked.picture)
    found = by_superpixel(KernelShap(300).explain(asked).values, labels)
    import shap  # after the method, which knows its warnings

    def play(shown: np.ndarray) -> np.ndarray:
        images = []
        for row in shown:
            image = asked.image.copy()
            for index in np.flatnonzero(row == 0):
                image[:, labels == index] = BASELINE[:, None]
            images.append(image)
        return network(np.stack(images))

    state = np.random.get_state()  # noqa: NPY002 - what the package draws from
    np.random.seed(11)  # noqa: NPY002
    pieces = labels.max() + 1
    direct = shap.KernelExplainer(play, np.zeros((1, pieces)))
    wanted = direct.shap_values(np.ones((1, pieces)), nsamples=300, l1_reg=False, silent=True)
    np.random.set_state(state)  # noqa: NPY002
    np.testing.assert_allclose(found, wanted[0, :, [2, 0]], rtol=1e-2, atol=1e-5)
    assert np.abs(found).max() > 1e-3


def test_an_additive_network_gets_what_each_superpixel_adds() -> None:
    network = Additive(random_network().logits.looks)
    asked = problem(network, classes=np.array([2, 0]), baseline=BASELINE)
    labels = superpixels(asked.picture)
    found = by_superpixel(KernelShap(400).explain(asked).values, labels)
    shares = network.looks * (asked.image - BASELINE[:, None, None])
    wanted = [[shares[c][:, labels == index].sum() for index in range(labels.max() + 1)] for c in (2, 0)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_it_points_at_the_region_that_the_network_looks_at_and_nowhere_else() -> None:
    rows, columns = slice(8, 20), slice(26, 42)
    asked = problem(Additive(region(rows, columns)), image=np.ones((3, 32, 48), np.float32))
    values, labels = KernelShap(300).explain(asked).values[0], superpixels(asked.picture)
    pixels = np.bincount(labels.flat, region(rows, columns)[1, 0].flat)
    np.testing.assert_allclose(values, 3 * pixels[labels], atol=1e-2)


def test_values_sum_to_what_the_image_is_above_the_baseline() -> None:
    network = random_network()
    asked = problem(network, classes=np.arange(3), baseline=BASELINE)
    values = by_superpixel(KernelShap(200).explain(asked).values, superpixels(asked.picture))
    empty = np.broadcast_to(BASELINE[:, None, None], asked.image.shape)
    np.testing.assert_allclose(values.sum(1), (network(asked.image[None]) - network(empty[None]))[0], atol=1e-5)


def test_nothing_else_sees_that_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    np.random.random()  # noqa: NPY002 - the state that is to be left alone, unlike any that was left before
    state = np.random.get_state()  # noqa: NPY002
    KernelShap(120).explain(problem(random_network()))
    assert str(np.random.get_state()) == str(state)  # noqa: NPY002
    assert capsys.readouterr() == ("", "")


def test_few_superpixels_need_few_samples() -> None:
    image, picture = np.ones((3, 2, 2), np.float32), np.zeros((2, 2, 3), np.uint8)
    picture[0] = 255
    network = Additive(np.ones((2, 3, 2, 2)))
    values = KernelShap().explain(problem(network, image=image, picture=picture)).values
    assert values.sum() > 0


def test_fewer_samples_than_unknowns_are_refused() -> None:
    with pytest.raises(OptionError, match=r"--samples does not take '20'; it takes at least .* twice the superpixels"):
        KernelShap(20).explain(problem(random_network()))


@pytest.mark.parametrize(("module", "package"), [("shap", "shap"), ("skimage.segmentation", "scikit-image")])
def test_a_missing_package_is_named(module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"needs {package}.*\[blackbox\]"):
        KernelShap(120).explain(problem(random_network()))
