"""Files that another tool optimises before they are explained, or afterwards."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from other_tools import domains, in_half, on_x86, optimised
from skeleton import load, transformer
from tiny_networks import Tiny, assemble, residual

import onnx_reciprocam as rc
from onnx_reciprocam.contract import Normalize, RewriteOptions
from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.rewriter.rewrite import rewrite_with

ONLY_RUNTIME = "com.microsoft"
BLOCKED = "com.microsoft.nchwc"


NETWORKS = {
    "gemm": lambda: Tiny(ending="Softmax").build(),
    "tf2onnx": lambda: Tiny(channels_last=True, ending="Sigmoid").build(),
    "opset 11": lambda: Tiny(opset=11).build(),
    "residual": residual,
    "timm_vit.ts1": lambda: transformer("timm_vit.ts1"),
    "timm_vit.ts13": lambda: transformer("timm_vit.ts13"),
    "vit.ts1": lambda: transformer("vit.ts1"),
}
OLD_NORMS = "timm_vit.ts13"
BEFORE = [
    (network, tool) for network in ("gemm", "tf2onnx", "timm_vit.ts1") for tool in ("onnxslim", "basic", "extended")
]
BEFORE += [(network, "extended") for network in ("opset 11", "residual", OLD_NORMS, "vit.ts1")]


def check(plain: onnx.ModelProto, tool: str) -> onnx.ModelProto:
    """The optimised file is explained as exactly as the original, and for the same price."""
    raw = RewriteOptions(normalize=Normalize.NONE)
    tuned = optimised(plain, tool)
    expected, found = rewrite_with(plain, None, raw), rewrite_with(tuned, None, raw)
    verified = rc.verify(found.model, tuned, batches=(1, 3), cells=6)
    assert verified.passed, str(verified)
    assert verified.flat == 0
    assert found.cost <= 1.01 * expected.cost
    assert not [note for note in found.notes if note.widened]
    assert rc.strip(found.model) == tuned
    return tuned


@pytest.mark.parametrize(("network", "tool"), BEFORE)
def test_a_file_that_was_optimised_before(network: str, tool: str) -> None:
    check(NETWORKS[network](), tool)


@pytest.mark.parametrize("network", ["timm_vit.ts1", "vit_map.ts1"])
def test_what_the_transformers_optimiser_fuses(network: str) -> None:
    tuned = check(transformer(network), "transformers")
    assert "SkipLayerNormalization" in {node.op_type for node in tuned.graph.node}


@pytest.mark.parametrize("mask", ["gaussian", "replicated"])
def test_a_target_in_front_of_fused_operators(mask: str) -> None:
    tuned = optimised(residual(), "extended")
    assert ONLY_RUNTIME in domains(tuned)
    verified = rc.verify(rc.rewrite(tuned, target="stem.out", mask=mask), tuned)
    assert verified.passed, str(verified)


def test_a_tensor_inside_a_fused_operator_is_no_target() -> None:
    tuned = optimised(residual(), "extended")
    gone = {name for node in residual().graph.node for name in node.output}
    gone -= {name for node in tuned.graph.node for name in node.output}
    assert gone
    known = {candidate.tensor for candidate in rc.inspect(tuned).candidates}
    assert known.isdisjoint(gone)


def test_what_a_fused_operator_hides_is_made_again_behind_a_toggle() -> None:
    tuned = optimised(transformer("timm_vit.ts1"), "extended")
    explained = rc.rewrite(tuned, toggle=True, classes="all")
    verified = rc.verify(explained, tuned)
    assert verified.passed, str(verified)


# channels in blocks -------------------------------------------------------------------------------------------------


def test_channels_in_blocks_are_refused() -> None:
    tuned = optimised(load("squeezenet1_1", "ts1"), "all")
    if BLOCKED not in domains(tuned) and not on_x86():
        pytest.skip("onnxruntime puts channels in blocks for x86 alone")
    with pytest.raises(UnsupportedModelError, match=r"blocks \(NCHWc\).*ORT_ENABLE_EXTENDED.*\[RC112\]"):
        rc.rewrite(tuned)


def test_channels_in_blocks_ahead_of_the_target_do_no_harm() -> None:
    tuned = optimised(transformer("timm_vit.ts1"), "all")
    verified = rc.verify(rc.rewrite(tuned, normalize="none"), tuned)
    assert verified.passed, str(verified)


# optimised afterwards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["onnxslim", "basic", "extended"])
@pytest.mark.parametrize("network", ["residual", "timm_vit.ts1"])
def test_an_explained_file_may_be_optimised(network: str, tool: str) -> None:
    plain = NETWORKS[network]()
    tuned = optimised(rc.rewrite(plain), tool)
    verified = rc.verify(tuned, plain, optimised=True)
    assert verified.passed, str(verified)
    assert (
        rc.ExplainedSession(tuned.SerializeToString()).contract
        == rc.ExplainedSession(rc.rewrite(plain).SerializeToString()).contract
    )


def test_verify_says_what_to_ask_for_then() -> None:
    plain = residual()
    verified = rc.verify(optimised(rc.rewrite(plain), "extended"), plain)
    assert "--optimised" in next(check.detail for check in verified.failures if check.name == "nodes")


def test_verify_still_finds_a_lost_output() -> None:
    plain = Tiny(aux=True).build()
    explained = rc.rewrite(plain)
    del explained.graph.output[0]
    verified = rc.verify(explained, plain, optimised=True)
    assert "outputs" in {check.name for check in verified.failures}


def test_an_explained_file_in_half_precision() -> None:
    plain = Tiny(ending="Softmax").build()
    explained = rc.rewrite(plain, classes="all")
    image = np.random.default_rng(0).standard_normal((2, 3, 6, 8)).astype(np.float32)
    single = rc.ExplainedSession(explained.SerializeToString())(image)
    half = rc.ExplainedSession(in_half(explained).SerializeToString())(image)
    np.testing.assert_allclose(half.predictions, single.predictions, atol=5e-3)
    np.testing.assert_allclose(half.saliency, single.saliency, atol=2e-2)


# attention as one operator ------------------------------------------------------------------------------------------

WIDTH, HEADS, PATCHES = 8, 2, 6


def fused_attention(op: str) -> onnx.ModelProto:
    """``patches + class token > norm > attention > + > class token > Gemm``, the attention one operator of onnxruntime."""
    make, w = helper.make_node, WIDTH
    rng = np.random.default_rng(3)
    shapes = {
        "w": (w, 3, 2, 2),
        "cls": (1, 1, w),
        "qkv": (w, 3 * w),
        "bias": (3 * w,),
        "fc": (5, w),
        "s": (w,),
        "t": (w,),
    }
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {"rows": np.array([0, w, -1]), "zero": np.array(0), "parts": np.array([w, w, w])}
    attention = {
        "Attention": [
            make("Attention", ["normed", "qkv", "bias"], ["mixed"], "att", domain=ONLY_RUNTIME, num_heads=HEADS)
        ],
        "MultiHeadAttention": [
            make("MatMul", ["normed", "qkv"], ["all"], "product"),
            make("Split", ["all", "parts"], ["q", "k", "v"], "split", axis=2),
            make("MultiHeadAttention", ["q", "k", "v", "bias"], ["mixed"], "att", domain=ONLY_RUNTIME, num_heads=HEADS),
        ],
    }[op]
    nodes = [
        make("Conv", ["image", "w"], ["map"], "patch", kernel_shape=[2, 2], strides=[2, 2]),
        make("Reshape", ["map", "rows"], ["flat"], "flat"),
        make("Transpose", ["flat"], ["patches"], "swap", perm=[0, 2, 1]),
        make("Concat", ["cls", "patches"], ["tokens"], "join", axis=1),
        make("LayerNormalization", ["tokens", "s", "t"], ["normed"], "norm"),
        *attention,
        make("Add", ["mixed", "tokens"], ["residual"], "add"),
        make("Gather", ["residual", "zero"], ["read"], "read", axis=1),
        make("Gemm", ["read", "fc"], ["scores"], "fc", transB=1),
    ]
    model = assemble(nodes, weights, {"image": [1, 3, 4, 6]}, {"scores": [1, 5]})
    model.opset_import.append(helper.make_opsetid(ONLY_RUNTIME, 1))
    return model


@pytest.mark.parametrize("op", ["Attention", "MultiHeadAttention"])
def test_fused_attention_is_carried_token_by_token(op: str) -> None:
    plain = fused_attention(op)
    spliced = rewrite_with(plain, None, RewriteOptions(normalize=Normalize.NONE))
    assert spliced.contract.layout == "b 1+hw c"
    assert not [note for note in spliced.notes if note.widened]
    verified = rc.verify(spliced.model, plain)
    assert verified.passed, str(verified)


# real networks ------------------------------------------------------------------------------------------------------

REAL = [
    ("resnet18", "ts1", "extended"),
    ("mobilenet_v2", "tsn", "extended"),
    ("mobilenet_v3_small", "dynamon", "onnxslim"),
    ("mobilenet_v3_small", "dynamon", "extended"),
    ("shufflenet_v2_x1_0", "ts1", "extended"),
    ("squeezenet1_1", "ts1", "extended"),
    ("efficientnet_b0", "tsn", "extended"),
    ("vit_tiny_patch16_224", "ts1", "onnxslim"),
    ("vit_tiny_patch16_224", "ts1", "extended"),
    ("vit_tiny_patch16_224", "ts1", "transformers"),
    ("deit_tiny_distilled_patch16_224", "ts1", "extended"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "exporter", "tool"), REAL)
def test_a_real_network_that_was_optimised(network: str, exporter: str, tool: str) -> None:
    check(load(network, exporter), tool)
