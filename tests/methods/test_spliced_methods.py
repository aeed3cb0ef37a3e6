"""Methods without derivatives against their formulas, and laws that hold for every method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from rewritten import EVERY, assert_same, network, oracle, rewritten, run
from slow_maps import FORMULAS, GRADIENTS
from tiny_tails import CASES, TARGET, Net, conv_relu, max_pool, pooled

import onnx_reciprocam as rc
from onnx_reciprocam.errors import MissingPackageError, OptionError, ReciprocamError
from onnx_reciprocam.methods import InGraph, Needs, methods
from onnx_reciprocam.refusals import GradientError, LinearHeadError, SubgraphError

if TYPE_CHECKING:
    from collections.abc import Callable

make = helper.make_node
METHODS = [name for name, method in methods().items() if issubclass(method, InGraph)]
CLASS_FREE = ["activation", "eigencam"]
SCORELESS = ["cam", *CLASS_FREE]
DIFFERENTIATED = [name for name in METHODS if Needs.GRADIENTS in methods()[name].needs]


def takes(method: str, name: str) -> bool:
    """Whether the method explains the score that a case asks for."""
    return EVERY[name].score == "logit" or method not in SCORELESS


def test_every_method_has_its_slow_way() -> None:
    """In the oracle, or in a test of its own; masks have the naive explanation."""
    own = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert set(METHODS) - own == {"reciprocam", *FORMULAS}
    assert {*GRADIENTS, "smoothgradcam++"} | (set(DIFFERENTIATED) & own) == set(DIFFERENTIATED)


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in EVERY for method in ("ablationcam", *CLASS_FREE) if takes(method, name)],
)
def test_maps_are_those_of_the_formula(name: str, method: str) -> None:
    explained, slow = rewritten(name, method), oracle(name)
    wanted = slow.maps(method)
    for batch in (1, 2, 3):
        if EVERY[name].batch in {batch, "batch"}:
            assert_same(run(explained, slow.images[:batch])["saliency"], wanted[:batch])


@pytest.mark.parametrize("name", [name for name, case in EVERY.items() if case.head])
def test_cam_is_made_of_the_weights_of_the_linear_layer(name: str) -> None:
    slow = oracle(name)
    assert_same(run(rewritten(name, "cam"), slow.images)["saliency"], slow.maps("cam"))


# laws ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(
    channels=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(2, 4)),
    batch=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_at_a_pooled_linear_head_all_are_cam(channels: int, grid: tuple[int, int], batch: int, seed: int) -> None:
    """``y_n = b_c + CAM_c(n) / N``; the gradient is w_c / N at every cell."""
    net = Net(channels=channels, grid=grid, seed=seed)
    pooled(net)
    plain, cells = net.model(), grid[0] * grid[1]
    images = np.random.default_rng(seed).standard_normal((batch, 3, 2 * grid[0], 2 * grid[1])).astype(np.float32)
    maps = {
        method: run(rc.rewrite(plain, method=method, classes="all", target=TARGET, normalize="none"), images)[
            "saliency"
        ]
        for method in ("cam", "gradcam", "hirescam", "reciprocam")
    }
    bias = onnx.numpy_helper.to_array(next(t for t in plain.graph.initializer if t.name == "bias"))
    size = float(np.abs(maps["cam"]).max()) + 1
    np.testing.assert_allclose(maps["reciprocam"], bias[:, None, None] + maps["cam"] / cells, rtol=0, atol=1e-6 * size)
    for method in ("gradcam", "hirescam"):
        np.testing.assert_allclose(maps[method], np.maximum(maps["cam"] / cells, 0), rtol=0, atol=1e-5 * size)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["pool, linear", "conv, relu", "softmax", "channels last around, batch of 3"])
def test_predictions_stay_bit_for_bit(name: str, method: str) -> None:
    if (method == "cam" and not EVERY[name].head) or not takes(method, name):
        return
    plain, images = network(name).model, oracle(name).images
    before = run(plain, images, optimised=False)
    explained = rewritten(name, method, "top:2")
    after = run(explained, images, optimised=False)
    assert list(after) == [*before, "saliency", "saliency_classes"]
    for output, values in before.items():
        np.testing.assert_array_equal(after[output], values)
    assert rc.strip(explained).SerializeToString() == plain.SerializeToString()


@pytest.mark.parametrize("method", METHODS)
def test_images_of_a_batch_do_not_meet(method: str) -> None:
    name = "pool, linear" if method == "cam" else "squeeze and excite"
    explained, images = rewritten(name, method), oracle(name).images
    alone = np.concatenate([run(explained, image[None])["saliency"] for image in images])
    assert_same(run(explained, images)["saliency"], alone)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_image_has_the_same_map(method: str) -> None:
    name = "pool, linear" if method == "cam" else "depthwise, swish"
    explained, images = rewritten(name, method), oracle(name).images[:1]
    first = run(explained, images)["saliency"]
    np.testing.assert_array_equal(run(rewritten(name, method), images)["saliency"], first)
    assert_same(run(explained, np.concatenate([images, images]))["saliency"], np.concatenate([first, first]))


@pytest.mark.parametrize("method", CLASS_FREE)
def test_some_maps_know_no_class(method: str) -> None:
    maps = run(rewritten("conv, relu", method), oracle("conv, relu").images)["saliency"]
    np.testing.assert_array_equal(maps, np.repeat(maps[:, :1], maps.shape[1], axis=1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["squeeze and excite", "softmax, batch of 3"])
def test_chosen_classes_are_picked_from_all(name: str, method: str) -> None:
    if method == "cam" or not takes(method, name):
        name = "pool, linear"
    images, rows = oracle(name).images, np.arange(3)[:, None]
    every = run(rewritten(name, method), images)["saliency"]
    best = run(rewritten(name, method, "top:2"), images)
    ids = np.argsort(-best[network(name).model.graph.output[0].name], axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(best["saliency_classes"], ids)
    assert_same(best["saliency"], every[rows, ids])
    asked = np.array([[2, 0, 2], [1, 1, 0], [0, 2, 1]])
    found = run(rewritten(name, method, "input"), images, asked)
    np.testing.assert_array_equal(found["saliency_classes"], asked)
    assert_same(found["saliency"], every[rows, asked])


@pytest.mark.parametrize("method", ["ablationcam", "reciprocam", *DIFFERENTIATED])
def test_there_is_no_map_of_a_class_that_does_not_exist(method: str) -> None:
    explained = rewritten("conv, relu", method, "input")
    with pytest.raises(InvalidArgument, match=r"(?i)indices"):
        run(explained, oracle("conv, relu").images, np.array([[3]] * 3))


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_scaled_and_enlarged_like_any_other(method: str) -> None:
    name = "pool, linear"
    plain, images = network(name).model, oracle(name).images
    raw = run(rewritten(name, method), images)["saliency"]
    scaled = run(rc.rewrite(plain, method=method, target=TARGET, classes="all", upsample="input"), images)["saliency"]
    assert scaled.shape == (3, 3, 6, 8)
    small = run(rc.rewrite(plain, method=method, target=TARGET, classes="all"), images)["saliency"]
    low, high = (pick(raw, axis=(2, 3), keepdims=True) for pick in (np.min, np.max))
    np.testing.assert_allclose(small, (raw - low) / np.where(high > low, high - low, 1), rtol=0, atol=1e-5)
    assert scaled.min() >= 0
    assert scaled.max() <= 1


# refusals -----------------------------------------------------------------------------------------------------------


def rounded(net: Net) -> None:
    step, zero = np.array(0.05, np.float32), np.array(3, np.uint8)
    whole = net.op("QuantizeLinear", net.conv(TARGET, 4, 3), step, zero)
    net.pooled(net.op("DequantizeLinear", whole, step, zero))


def either(net: Net) -> None:
    """An If whose branches read what is behind the target."""
    x = net.conv(TARGET, 4, 3)
    branches = {
        branch: helper.make_graph(
            [make(op, [x], [op])], branch, [], [helper.make_tensor_value_info(op, TensorProto.FLOAT, None)]
        )
        for branch, op in (("then_branch", "Identity"), ("else_branch", "Neg"))
    }
    net.pooled(net.op("If", net.weight(np.array(True)), **branches))


def model(grow: Callable[[Net], None], **shape: Any) -> onnx.ModelProto:
    net = Net()
    grow(net)
    plain = net.model()
    sizes = plain.graph.input[0].type.tensor_type.shape.dim
    for place, name in shape.items():
        sizes[{"height": 2, "width": 3}[place]].dim_param = name
    return plain


@pytest.mark.parametrize("method", DIFFERENTIATED)
def test_what_rounds_is_named(method: str) -> None:
    with pytest.raises(GradientError, match=r"QuantizeLinear 'node\.QuantizeLinear_\d' rounds"):
        rc.rewrite(model(rounded), method=method, target=TARGET)


@pytest.mark.parametrize("method", ["ablationcam", *CLASS_FREE])
def test_what_rounds_is_no_obstacle_without_gradients(method: str) -> None:
    plain = model(rounded)
    found = run(rc.rewrite(plain, method=method, target=TARGET), CASES["conv, relu"].images(2))["saliency"]
    assert found.min() == 0
    assert found.max() == pytest.approx(1)


@pytest.mark.parametrize("method", ["ablationcam", "smoothgradcam++"])
def test_control_flow_that_would_be_run_again_is_named(method: str) -> None:
    with pytest.raises(SubgraphError, match=r"If 'node\.If_\d' reads inside a subgraph"):
        rc.rewrite(model(either), method=method, target=TARGET)


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_control_flow_is_not_differentiated(method: str) -> None:
    with pytest.raises(ReciprocamError, match=r"If 'node\.If_\d'"):
        rc.rewrite(model(either), method=method, target=TARGET)


@pytest.mark.parametrize(
    ("grow", "culprit"),
    [(conv_relu, r"Relu 'node\.Relu_\d'"), (max_pool, r"MaxPool 'node\.MaxPool_\d'"), (rounded, "QuantizeLinear")],
)
def test_cam_needs_a_pooled_linear_head(grow: Callable[[Net], None], culprit: str) -> None:
    with pytest.raises(LinearHeadError, match=rf"{culprit}.* lies behind the target"):
        rc.rewrite(model(grow), method="cam", target=TARGET)


def flat(net: Net) -> None:
    net.linear(net.op("Flatten", TARGET), net.channels * net.grid[0] * net.grid[1])


def test_cam_needs_a_mean_over_cells() -> None:
    with pytest.raises(LinearHeadError, match="no mean over all cells lies behind the target"):
        rc.rewrite(model(flat), method="cam", target=TARGET)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "reciprocam"])
@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"mask": "gaussian"}, "--mask"),
        ({"vit_mask": "post-norm"}, "--vit-mask"),
        ({"max_memory": "1GB"}, "--max-memory"),
    ],
)
def test_options_of_masks_mean_nothing_elsewhere(method: str, options: dict[str, str], flag: str) -> None:
    with pytest.raises(OptionError, match=rf"{flag} does not take .*nothing with --method {method.replace('+', '.')}"):
        rc.rewrite(model(pooled), method=method, target=TARGET, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", SCORELESS)
def test_a_choice_of_scores_means_nothing_where_none_is_asked(method: str) -> None:
    with pytest.raises(OptionError, match=rf"--score does not take 'probability'; .*--method {method}"):
        rc.rewrite(model(pooled), method=method, target=TARGET, score="probability")


@pytest.mark.parametrize("open_", [{"height": "h"}, {"width": "w"}, {"height": "h", "width": "w"}])
@pytest.mark.parametrize("method", DIFFERENTIATED)
def test_gradients_need_a_picture_of_known_size(method: str, open_: dict[str, str]) -> None:
    with pytest.raises(GradientError, match="height and width are open"):
        rc.rewrite(model(pooled, **open_), method=method, target=TARGET)


@pytest.mark.parametrize("method", ["ablationcam", *SCORELESS])
def test_other_methods_take_pictures_of_any_size(method: str) -> None:
    grow = pooled if method == "cam" else conv_relu
    fixed, free = model(grow), model(grow, height="h", width="w")
    images = CASES["conv, relu"].images(2)
    maps = [
        run(rc.rewrite(plain, method=method, target=TARGET, classes="all", normalize="none"), images)["saliency"]
        for plain in (fixed, free)
    ]
    assert_same(maps[1], maps[0])


def test_a_method_that_does_not_exist_is_told_from_others() -> None:
    with pytest.raises(OptionError, match=r"--method does not take 'gradcamm'; it takes reciprocam, .*gradcam, "):
        rc.rewrite(model(pooled), method="gradcamm")


def test_gradients_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx_ad", None)
    with pytest.raises(MissingPackageError, match="onnx-ad"):
        rc.rewrite(model(pooled), method="gradcam", target=TARGET)
