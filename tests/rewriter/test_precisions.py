"""Reduced precision: float16, bfloat16, int8 in both forms, dynamic and weight-only quantisation, each against itself."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnxconverter_common.float16 import convert_float_to_float16
from precisions import (
    all_bfloat16,
    as_bfloat16,
    as_int8,
    convolutions_alone,
    dynamic,
    four_bits,
    network,
    static,
    through_bfloat16,
    weights_stored,
)
from skeleton import load, transformer

import onnx_reciprocam as rc
from onnx_reciprocam.errors import OptionError, ProbeError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Convert = Callable[[onnx.ModelProto, Path], onnx.ModelProto]

INT8: dict[str, Convert] = {
    f"{form} {activations} per {'channel' if per_channel else 'tensor'}": (
        lambda model, folder, form=form, activations=activations, per_channel=per_channel: static(
            model, folder, form, activations, per_channel=per_channel
        )
    )
    for form, activations, per_channel in [
        ("QDQ", "QUInt8", True),
        ("QDQ", "QInt8", False),
        ("QOperator", "QUInt8", False),
        ("QOperator", "QInt8", True),
    ]
}
OTHERS: dict[str, Convert] = {
    "float16": lambda model, _: convert_float_to_float16(model, keep_io_types=False),
    "float16 between float32": lambda model, _: convert_float_to_float16(model, keep_io_types=True),
    "bfloat16 weights": lambda model, _: weights_stored(model, as_bfloat16),
    "bfloat16 features": lambda model, _: through_bfloat16(model),
    "int8 weights": lambda model, _: weights_stored(model, as_int8),
    "int8 convolutions": convolutions_alone,
    "dynamic": dynamic,
}
HALF = {"float16", "float16 between float32", "bfloat16 features"}
"""What is summed up in another order there is rounded to three digits."""
BIT_EQUAL = {*INT8, "dynamic"}
"""Whole numbers add up the same in any order, and what a scale is made of is summed as the file does."""


@pytest.fixture(scope="module", params=[*INT8, *OTHERS])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plain(kind: str, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return {**INT8, **OTHERS}[kind](network(), tmp_path_factory.mktemp("precisions"))


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key.removeprefix("reciprocam."): entry.value for entry in model.metadata_props}


def test_every_target_is_exact(kind: str, plain: onnx.ModelProto) -> None:
    candidates = rc.inspect(plain).candidates
    assert candidates[-1].cells == 36
    for candidate in (candidates[0], candidates[len(candidates) // 2], candidates[-2], candidates[-1]):
        explained = rc.rewrite(plain, target=candidate.node, normalize="none")
        found = rc.verify(explained, plain, batches=(1, 3), cells=6)
        assert found.passed, (candidate.node, found)
        assert found.flat == 0
        assert found.worst == 0 or kind not in BIT_EQUAL


def test_automatic_target_under_all_options(plain: onnx.ModelProto) -> None:
    found = rc.verify(rc.rewrite(plain, toggle=True, classes="top:2", score="probability"), plain, batches=(1, 3))
    assert found.passed, found


def test_masked_copies_by_hand(kind: str, plain: onnx.ModelProto, tmp_path: Path) -> None:
    """The file cut in two: run the first half, mask one cell after another, run the second."""
    explained = rc.rewrite(plain, classes="all", normalize="none")
    target = metadata(explained)["target"]
    known = ort.InferenceSession(with_output(plain, target), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(3).standard_normal((2, 3, 12, 12), np.float32)
    image = image.astype(np.float16 if kind == "float16" else np.float32)
    features = known.run([target], {"image": image})[0]
    wanted = [second_half(plain, target, copy, tmp_path) for copy in masked_copies(features, resting(plain, target))]
    got = rc.ExplainedSession(explained.SerializeToString())(image).saliency.reshape(2, 10, -1)
    exact = np.stack(wanted, axis=2).astype(np.float64)
    tolerance = (5e-3 if kind in HALF else 1e-4) * np.ptp(exact, axis=2).mean()
    np.testing.assert_allclose(got, exact, rtol=0, atol=0 if kind in BIT_EQUAL else tolerance)


def with_output(model: onnx.ModelProto, name: str) -> bytes:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return copy.SerializeToString()


def resting(model: onnx.ModelProto, target: str) -> int:
    """The zero point with which the next operator reads whole numbers; 0 of floats."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    reader = next(node for node in model.graph.node if target in node.input)
    whole = reader.op_type == "DequantizeLinear" or reader.op_type.startswith("QLinear")
    return int(values[reader.input[2]].item()) if whole else 0


def masked_copies(features: NDArray[Any], zero: int) -> list[NDArray[Any]]:
    copies = []
    for row, column in np.ndindex(*features.shape[2:]):
        copy = np.full_like(features, zero)
        copy[:, :, row, column] = features[:, :, row, column]
        copies.append(copy)
    return copies


def needed(model: onnx.ModelProto, target: str) -> list[onnx.NodeProto]:
    """The nodes between the target and the scores, those that unpack weights among them."""
    wanted, nodes = {"scores"}, list[onnx.NodeProto]()
    for node in reversed(model.graph.node):
        if wanted & set(node.output) and target not in node.output:
            wanted.update(node.input)
            nodes.append(node)
        wanted.discard(target)
    return nodes[::-1]


def second_half(model: onnx.ModelProto, target: str, features: NDArray[Any], folder: Path) -> NDArray[Any]:
    path = folder / "tail.onnx"
    if not path.exists():
        tail = onnx.ModelProto()
        tail.CopyFrom(model)
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in needed(model, target)]
        del tail.graph.node[:], tail.graph.input[:]
        tail.graph.node.extend(nodes)
        kind = onnx.helper.np_dtype_to_tensor_dtype(features.dtype)
        tail.graph.input.append(onnx.helper.make_tensor_value_info(target, kind, ["b", *features.shape[1:]]))
        onnx.save(tail, path)
    return np.asarray(ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {target: features})[0])


@pytest.mark.parametrize("kind", list(INT8), indirect=True)
def test_every_operator_of_the_branch_still_runs_on_int8(plain: onnx.ModelProto, tmp_path: Path) -> None:
    """A runtime that fuses Q-DQ pairs finds them around every operator of the branch, where it does in the file."""
    explained = rc.rewrite(plain, target=rc.inspect(plain).candidates[0].node)
    branch = [node for node in optimised(explained, tmp_path) if node.name.startswith("reciprocam/")]
    file = optimised(plain, tmp_path)
    assert not of_floats(branch) - of_floats(file)
    assert "QLinearConv" in {node.op_type for node in branch}


def optimised(model: onnx.ModelProto, folder: Path) -> list[onnx.NodeProto]:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(onnx.load(folder / "optimised.onnx").graph.node)


def of_floats(nodes: list[onnx.NodeProto]) -> Counter[str]:
    layers = {"Conv", "Gemm", "MatMul", "GlobalAveragePool", "FusedConv", "FusedGemm"}
    return Counter(node.op_type for node in nodes if node.op_type in layers)


@pytest.mark.parametrize("kind", ["QDQ QUInt8 per channel"], indirect=True)
def test_a_float_that_is_only_quantised_is_explained_behind_that(plain: onnx.ModelProto) -> None:
    quantiser = next(node for node in plain.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "last")
    explained = rc.rewrite(plain, target="last", normalize="none")
    assert metadata(explained)["target"] == quantiser.output[0] == metadata(rc.rewrite(plain))["target"]
    assert rc.verify(explained, plain).passed


@pytest.mark.parametrize("kind", ["QDQ QUInt8 per channel"], indirect=True)
@pytest.mark.parametrize("mask", ["gaussian", "replicated"])
def test_masks_that_weigh_cells_act_on_dequantised_values(plain: onnx.ModelProto, mask: str) -> None:
    explained = rc.rewrite(plain, mask=mask, normalize="none")
    made = next(node for node in plain.graph.node if metadata(explained)["target"] in node.output)
    assert made.op_type == "DequantizeLinear"
    found = rc.verify(explained, plain, batches=(1, 3))
    assert found.passed, found


@pytest.mark.parametrize("kind", ["int8 convolutions"], indirect=True)
@pytest.mark.parametrize("target", ["stem.conv", "stem.conv_QuantizeLinear", "stem.conv_DequantizeLinear"])
def test_a_pair_that_the_runtime_merges_is_no_target(plain: onnx.ModelProto, target: str) -> None:
    assert target not in {candidate.node for candidate in rc.inspect(plain).candidates}
    with pytest.raises(
        UnsupportedModelError, match=r"merges the quantisation .* Take 'stem_QuantizeLinear_Output' instead"
    ):
        rc.rewrite(plain, target=target)


@pytest.mark.parametrize("kind", ["QOperator QInt8 per channel"], indirect=True)
def test_masks_that_weigh_whole_numbers_are_refused(plain: onnx.ModelProto) -> None:
    with pytest.raises(OptionError, match="holds whole numbers, which have no weighted copies"):
        rc.rewrite(plain, mask="gaussian")


@pytest.mark.parametrize("kind", ["int8 weights", "bfloat16 weights", "bfloat16 features"], indirect=True)
def test_stored_weights_multiply_nothing_out(plain: onnx.ModelProto) -> None:
    assert not any(candidate.widened for candidate in rc.inspect(plain).candidates)


def test_what_the_runtime_cannot_run_is_refused_with_its_reason() -> None:
    with pytest.raises(ProbeError, match=r"does not run in onnxruntime.+bfloat16.+Conv"):
        rc.rewrite(all_bfloat16(network()))


@pytest.mark.parametrize("accuracy_level", [0, 4])
def test_four_bits(accuracy_level: int) -> None:
    plain = four_bits(transformer("vit_mean.dynamon"), accuracy_level=accuracy_level)
    for candidate in rc.inspect(plain).candidates[-3:]:
        found = rc.verify(rc.rewrite(plain, target=candidate.node, normalize="none"), plain, batches=(1, 3), cells=6)
        assert found.passed, (candidate.node, found)


FORMS = {"QDQ": INT8["QDQ QUInt8 per channel"], "QOperator": INT8["QOperator QUInt8 per tensor"], "dynamic": dynamic}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["vit.dynamon", "vit_mean.ts1"])
def test_tokens(form: str, name: str, tmp_path: Path) -> None:
    """The automatic target is a block's input or the last norm's, as before quantisation: no flat map behind the last block."""
    plain = FORMS[form](transformer(name), tmp_path)
    found = rc.verify(rc.rewrite(plain, normalize="none"), plain, batches=(1, 3))
    assert found.passed, found
    assert (found.worst, found.flat) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["resnet18.dynamon", "mobilenet_v2.ts1"])
def test_real_architectures(form: str, name: str, tmp_path: Path) -> None:
    plain = FORMS[form](load(*name.split(".")), tmp_path)
    found = rc.verify(rc.rewrite(plain, normalize="none"), plain, batches=(1, 2), cells=6)
    assert found.passed, found
    assert (found.worst, found.flat) == (0, 0)


@pytest.mark.filterwarnings("ignore:the float32 number:UserWarning")
@pytest.mark.parametrize("options", [{"keep": False, "toggle": False}, {"keep": True, "toggle": True}], ids=str)
def test_float16_predicts_as_before_where_the_runtime_computes_in_float32(options: dict[str, bool]) -> None:
    """MobileNetV2 ends in a Clip, which the CPU provider knows in float16, between operators that it does not know in it."""
    plain = convert_float_to_float16(load("mobilenet_v2", "dynamon"), keep_io_types=options["keep"])
    found = rc.verify(rc.rewrite(plain, toggle=options["toggle"]), plain, batches=(1,), cells=3)
    assert found.passed, found
