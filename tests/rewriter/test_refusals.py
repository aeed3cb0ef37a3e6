"""What is refused is refused by a code that docs/refusals.md explains, and there is a model here for each."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from calls import called
from onnx import TensorProto, helper, numpy_helper
from other_tools import domains, on_x86, optimised
from tiny_networks import CLASSES, Tiny, assemble, residual

import onnx_reciprocam as rc
from onnx_reciprocam import errors, refusals
from onnx_reciprocam.cli import run
from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.rewriter.rewrite import rewrite_with

if TYPE_CHECKING:
    from collections.abc import Callable

LISTED = Path(__file__).parents[2] / "docs" / "refusals.md"
CODES = {
    kind.code
    for module in (errors, refusals)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, ReciprocamError) and kind.code
}
make, info = helper.make_node, helper.make_tensor_value_info


def instead_of(name: str, *nodes: onnx.NodeProto, **weights: np.ndarray) -> onnx.ModelProto:
    """The tiny network with other nodes in place of one."""
    plain = Tiny().build()
    kept = [part for node in plain.graph.node for part in (nodes if node.name == name else [node])]
    del plain.graph.node[:]
    plain.graph.node.extend(kept)
    plain.graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in weights.items())
    return plain


def with_input(entry: onnx.ValueInfoProto) -> onnx.ModelProto:
    plain = Tiny().build()
    plain.graph.input.append(entry)
    return plain


def with_output(output: onnx.ValueInfoProto, *nodes: onnx.NodeProto) -> onnx.ModelProto:
    """The tiny network that hands out something else instead of its scores."""
    plain = Tiny().build()
    plain.graph.node.extend(nodes)
    del plain.graph.output[:]
    plain.graph.output.append(output)
    plain.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return plain


def with_if() -> onnx.ModelProto:
    branches = {
        branch: helper.make_graph([make(op, ["pool.out"], [op])], branch, [], [info(op, TensorProto.FLOAT, None)])
        for branch, op in (("then_branch", "Identity"), ("else_branch", "Neg"))
    }
    nodes = [make("If", ["yes"], ["either"], "if", **branches), make("Flatten", ["either"], ["pooled"], "flatten")]
    return instead_of("flatten", *nodes, yes=np.array(True))


def in_training() -> onnx.ModelProto:
    nodes = [
        make("Dropout", ["pool.out", "share", "yes"], ["dropped"], "drop"),
        make("Flatten", ["dropped"], ["pooled"], "flatten"),
    ]
    return instead_of("flatten", *nodes, share=np.array(0.5, np.float32), yes=np.array(True))


def noisy() -> onnx.ModelProto:
    nodes = [
        make("RandomNormalLike", ["pool.out"], ["noise"], "noise"),
        make("Add", ["pool.out", "noise"], ["noisy"], "add"),
        make("Flatten", ["noisy"], ["pooled"], "flatten"),
    ]
    return instead_of("flatten", *nodes)


COUNTED: dict[str, object] = {
    "kernel_shape": [4, 4],
    "strides": [4, 4],
    "pads": [1, 1, 1, 1],
    "ceil_mode": 1,
    "count_include_pad": 1,
}
"""A mean that counts what it pads, and more windows than fit."""


def before_flatten(op: str, **attributes: object) -> onnx.ModelProto:
    nodes = [
        make(op, ["pool.out"], ["stepped"], "step", **attributes),
        make("Flatten", ["stepped"], ["pooled"], "flatten"),
    ]
    return instead_of("flatten", *nodes)


def in_a_sequence() -> onnx.ModelProto:
    nodes = [
        make("SequenceConstruct", ["pool.out"], ["list"], "list"),
        make("ConcatFromSequence", ["list"], ["whole"], "whole", axis=0),
        make("Flatten", ["whole"], ["pooled"], "flatten"),
    ]
    return instead_of("flatten", *nodes)


def custom(*, behind: bool) -> onnx.ModelProto:
    plain = instead_of("flatten", make("Swirl", ["pool.out"], ["pooled"], "swirl", domain="com.example"))
    if not behind:
        plain = instead_of("relu0", make("Swirl", ["conv0.out"], ["relu0.out"], "swirl", domain="com.example"))
    plain.opset_import.append(helper.make_opsetid("com.example", 1))
    return plain


def blocked() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((32, 3, 3, 3)).astype(np.float32)}
    weights["fc"] = rng.standard_normal((CLASSES, 32)).astype(np.float32)
    nodes = [
        make("Conv", ["image", "w"], ["map"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        make("GlobalAveragePool", ["map"], ["pool.out"], "pool"),
        make("Flatten", ["pool.out"], ["pooled"], "flatten"),
        make("Gemm", ["pooled", "fc"], ["scores"], "fc", transB=1),
    ]
    plain = optimised(assemble(nodes, weights, {"image": [1, 3, 6, 8]}, {"scores": [1, CLASSES]}), "all")
    if "com.microsoft.nchwc" not in domains(plain) and not on_x86():
        pytest.skip("onnxruntime puts channels in blocks for x86 alone")
    return plain


def without_maps() -> onnx.ModelProto:
    weights = {"fc": np.ones((CLASSES, 144), np.float32)}
    nodes = [make("Flatten", ["image"], ["flat"], "flat"), make("Gemm", ["flat", "fc"], ["scores"], "fc", transB=1)]
    return assemble(nodes, weights, {"image": ["b", 3, 6, 8]}, {"scores": ["b", CLASSES]})


def broken() -> onnx.ModelProto:
    plain = Tiny().build()
    next(t for t in plain.graph.initializer if t.name == "fc.weight").CopyFrom(
        numpy_helper.from_array(np.ones((CLASSES, 7), np.float32), "fc.weight")
    )
    return plain


def damaged() -> onnx.ModelProto:
    explained = rc.rewrite(Tiny().build())
    next(entry for entry in explained.metadata_props if entry.key == "reciprocam.grid").value = "many"
    return explained


def best_alone() -> onnx.ModelProto:
    plain = with_output(info("best", TensorProto.FLOAT, ["b", 2]), TOP)
    plain.graph.initializer.append(numpy_helper.from_array(np.array([2]), "two"))
    del plain.graph.output[:-1]
    return plain


SEQUENCE = helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None)
OPTIONAL = helper.make_value_info("maybe", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1])))
DICTIONARIES = helper.make_value_info(
    "zipped",
    helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    ),
)
ZIP = make("ZipMap", ["scores"], ["zipped"], "zip", domain="ai.onnx.ml", classlabels_int64s=list(range(CLASSES)))
TOP = make("TopK", ["scores", "two"], ["best", "places"], "top", axis=1)
ARGMAX = make("ArgMax", ["scores"], ["label"], "argmax", axis=1)
WHOLE = [node.name for node in Tiny().build().graph.node]

CASES: dict[str, tuple[str, Callable[[], object], str]] = {
    "cut short": ("RC101", lambda: rc.rewrite(Tiny().build().SerializeToString()[:700]), "damaged"),
    "encrypted": ("RC101", lambda: rc.rewrite(np.random.default_rng(0).bytes(3000)), "is no ONNX file"),
    "no file": ("RC101", lambda: rc.rewrite("nowhere.onnx"), "no such file"),
    "metadata": ("RC102", lambda: rc.strip(damaged()), "metadata is unusable"),
    "plain": ("RC103", lambda: rc.strip(Tiny().build()), "onnx-reciprocam rewrite"),
    "twice": ("RC104", lambda: rc.rewrite(rc.rewrite(Tiny().build())), "onnx-reciprocam strip"),
    "toggle": ("RC110", lambda: rc.rewrite(Tiny(opset=9, ir_version=3).build(), toggle=True), "Set ir_version = 4"),
    "opset": ("RC111", lambda: rc.rewrite(Tiny(opset=8).build()), "convert_version"),
    "blocks": ("RC112", lambda: rc.rewrite(blocked()), "ORT_ENABLE_EXTENDED"),
    "if": ("RC113", lambda: rc.rewrite(with_if()), "without control flow"),
    "function": ("RC114", lambda: rc.rewrite(called(Tiny().build(), "Whole", WHOLE)), "inline_local_functions"),
    "sequence": ("RC115", lambda: rc.rewrite(in_a_sequence()), "'list' makes .* no tensor"),
    "sequence input": ("RC115", lambda: rc.rewrite(with_input(SEQUENCE)), "Export it with tensors only"),
    "optional input": ("RC115", lambda: rc.rewrite(with_input(OPTIONAL)), "Export it with tensors only"),
    "noise": ("RC116", lambda: rc.rewrite(noisy()), "'noise' draws random numbers"),
    "training": ("RC116", lambda: rc.rewrite(in_training()), "Export the model for inference"),
    "rounded": (
        "RC117",
        lambda: rc.rewrite(before_flatten("Round"), method="gradcam"),
        "Round 'step' .*onnx-reciprocam methods",
    ),
    "no gradient": (
        "RC117",
        lambda: rc.rewrite(before_flatten("AveragePool", **COUNTED), method="gradcam"),
        "onnx-ad has no gradient for it: AveragePool with ceil_mode=1",
    ),
    "no linear head": (
        "RC118",
        lambda: rc.rewrite(Tiny().build(), method="cam", target="relu0"),
        "--method reciprocam",
    ),
    "no name": ("RC120", lambda: rc.rewrite(Tiny().build(), target="rulu1"), "did you mean .*'relu1'"),
    "bypassed": ("RC121", lambda: rc.rewrite(residual(), target="branch0"), "Nearest targets: 'stem'"),
    "no cells": ("RC122", lambda: rc.rewrite(Tiny().build(), target="pool"), "Nearest targets: 'relu1'"),
    "no norm": ("RC123", lambda: rc.rewrite(Tiny().build(), vit_mask="post-norm"), "leave the option out"),
    "no target": ("RC124", lambda: rc.rewrite(without_maps()), "no feature map of more than one cell"),
    "zipmap": ("RC125", lambda: rc.rewrite(with_output(DICTIONARIES, ZIP)), "'zipmap': False"),
    "label": (
        "RC125",
        lambda: rc.rewrite(with_output(info("label", TensorProto.INT64, ["b", 1]), ARGMAX)),
        "make the scores 'scores', .*, an output",
    ),
    "best scores": (
        "RC125",
        lambda: rc.rewrite(best_alone()),
        "the best scores alone, and not whose they are; .* Make the scores 'scores', .*, an output",
    ),
    "broken": ("RC130", lambda: rc.rewrite(broken()), "does not run in onnxruntime"),
    "custom": ("RC131", lambda: rc.rewrite(custom(behind=True)), "com.example:Swirl.* local function"),
    "custom ahead": ("RC131", lambda: rc.rewrite(custom(behind=False)), "com.example:Swirl.* local function"),
}
BY_COMMAND = {"RC140"}
"""Raised by the command line alone."""


def test_every_code_is_listed_once_and_tried_here() -> None:
    listed = re.findall(r"^\| (RC\d+) \|", LISTED.read_text(), re.MULTILINE)
    assert listed == sorted(CODES)
    assert {code for code, *_ in CASES.values()} | BY_COMMAND == CODES


def test_every_code_has_one_meaning() -> None:
    kinds = [kind for module in (errors, refusals) for _, kind in inspect.getmembers(module, inspect.isclass)]
    own = {kind.__name__: kind.code for kind in kinds if "code" in vars(kind) and kind.code}
    assert len(set(own.values())) == len(own)


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line_with_its_code(case: str) -> None:
    code, call, words = CASES[case]
    with pytest.raises(ReciprocamError, match=rf"{words}.*\[{code}\]$") as caught:
        call()
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_the_command_line_shows_the_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(residual(), tmp_path / "plain.onnx")
    assert run(["rewrite", str(tmp_path / "plain.onnx"), "-o", str(tmp_path / "out.onnx"), "--target", "branch0"]) == 2
    assert "[RC121]" in capsys.readouterr().err


def test_a_failed_verification_has_a_code_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(Tiny().build(), tmp_path / "plain.onnx")
    explained = rc.rewrite(Tiny().build())
    explained.graph.node[0].doc_string = "changed"
    onnx.save(explained, tmp_path / "out.onnx")
    assert run(["verify", str(tmp_path / "out.onnx"), "--against", str(tmp_path / "plain.onnx")]) == 1
    assert "[RC140]" in " ".join(capsys.readouterr().err.split())


# not refused --------------------------------------------------------------------------------------------------------


def coupled(op: str) -> onnx.ModelProto:
    """Images of a batch meet behind the first Relu."""
    rng = np.random.default_rng(5)
    vectors = {key: rng.random(4).astype(np.float32) + 0.5 for key in ("scale", "shift", "mean", "variance")}
    nodes = {
        "BatchNormalization": [make(op, ["conv1.out", *vectors], ["n", "m", "v"], "couple", training_mode=1)],
        "MeanVarianceNormalization": [make(op, ["conv1.out"], ["n"], "couple", axes=[0, 2, 3])],
        "CumSum": [make(op, ["conv1.out", "axis"], ["n"], "couple")],
    }[op]
    weights = {"BatchNormalization": vectors, "CumSum": {"axis": np.array(0)}}.get(op, {})
    return instead_of("relu1", *nodes, make("Relu", ["n"], ["map"], "relu1"), **weights)


@pytest.mark.parametrize("op", ["BatchNormalization", "MeanVarianceNormalization", "CumSum"])
def test_images_that_meet_are_run_once_per_mask(op: str) -> None:
    plain = coupled(op)
    spliced = rewrite_with(plain, None, RewriteOptions(target="relu0"))
    assert ("couple", "per cell") in {(note.node, note.term) for note in spliced.notes}
    found = rc.verify(spliced.model, plain, batches=(3,))
    assert found.passed, str(found)
