"""``--vit-mask post-norm``: the block's first norm is masked too. The oracle multiplies masks into the plain model, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from skeleton import transformer

import onnx_reciprocam as rc
from onnx_reciprocam.errors import NoNormError, OptionError
from onnx_reciprocam.masks import gaussian_masks, pixel_masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCKS = {
    "timm_vit.ts1": ("/blocks/blocks.0/Add_1_output_0", "/blocks/blocks.1/norm1/LayerNormalization_output_0"),
    "timm_vit.ts13": ("/blocks/blocks.0/Add_1_output_0", "/blocks/blocks.1/norm1/Add_1_output_0"),
    "timm_vit.dynamon": ("add_111", "layer_norm_2"),
    "vit_mean.ts1": ("/blocks/blocks.0/Add_1_output_0", "/blocks/blocks.1/norm1/LayerNormalization_output_0"),
    "vit_mean.dynamon": ("add_107", "layer_norm_2"),
    "vit_registers.dynamon": ("add_111", "layer_norm_2"),
}
"""Where the last block begins, and its first norm: spelled out in nine nodes at opset 13."""
AUX = {"timm_vit": 1, "vit_mean": 0, "vit_registers": 5}
GRID = (4, 6)
MASKS = {"pixel": pixel_masks, "gaussian": gaussian_masks}
make = helper.make_node


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key.removeprefix("reciprocam."): entry.value for entry in model.metadata_props}


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def noise(model: onnx.ModelProto) -> NDArray[np.float32]:
    sizes = [side.dim_value or 2 for side in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(0).standard_normal(sizes).astype(np.float32)


def masked(plain: onnx.ModelProto, target: str, norm: str) -> onnx.ModelProto:
    """With an input ``weights [1, T, 1]`` that multiplies the target where an Add reads it, and the norm everywhere."""
    model = onnx.ModelProto()
    model.CopyFrom(plain)
    products = {name: make("Mul", [name, "weights"], [f"{name}*"]) for name in (target, norm)}
    nodes = []
    for node in model.graph.node:
        hidden = [name for name in (norm, *([target] if node.op_type == "Add" else [])) if name in node.input]
        node.input[:] = [f"{name}*" if name in hidden else name for name in node.input]
        nodes += [node, *(products[name] for name in node.output if name in products)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, [1, None, 1]))
    return model


def naive(plain: onnx.ModelProto, target: str, norm: str, masks: NDArray[np.float32], aux: int) -> NDArray[np.float32]:
    """``[B, classes, H, W]``."""
    run, image = session(masked(plain, target, norm)), noise(plain)
    scores = []
    for mask in masks:
        weights = np.concatenate([np.ones(aux, np.float32), mask.ravel()])[None, :, None]
        scores.append(run.run(["logits"], {"input": image, "weights": weights})[0])
    return np.stack(scores, -1).reshape(*scores[0].shape, *masks.shape[1:])


def maps(model: onnx.ModelProto) -> NDArray[np.float32]:
    """All classes' raw maps."""
    found: NDArray[np.float32] = session(model).run(["saliency"], {"input": noise(model)})[0]
    return found


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", BLOCKS)
def test_maps_are_the_naive_ones(name: str, mask: str) -> None:
    plain, (target, norm) = transformer(name), BLOCKS[name]
    explained = rc.rewrite(plain, target=target, mask=mask, vit_mask="post-norm", classes="all", normalize="none")
    said = metadata(explained)
    assert (said["target"], said["norm"], said["vit_mask"]) == (target, norm, "post-norm")
    wanted = naive(plain, target, norm, MASKS[mask](*GRID), AUX[name.partition(".")[0]])
    spread = np.ptp(wanted, axis=(2, 3)).mean()
    tolerance = 1e-4 * spread + 1e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(maps(explained), wanted, rtol=0, atol=tolerance)
    residual = rc.rewrite(plain, target=target, mask=mask, classes="all", normalize="none")
    assert np.abs(maps(residual) - wanted).max() > 100 * tolerance


@pytest.mark.parametrize("name", BLOCKS)
def test_the_slow_oracle_of_verify_agrees(name: str) -> None:
    plain = transformer(name)
    for normalize in ("none", "minmax"):
        explained = rc.rewrite(plain, target=BLOCKS[name][0], vit_mask="post-norm", normalize=normalize)
        found = rc.verify(explained, plain, batches=(1, 3))
        assert found.passed, found
        assert found.flat == 0


@pytest.mark.parametrize("name", ["timm_vit.ts1", "timm_vit.ts13"])
def test_without_a_bias_the_norm_leaves_zero_zero(name: str) -> None:
    plain = transformer(name)
    bias = next(tensor for tensor in plain.graph.initializer if tensor.name.endswith("blocks.1.norm1.bias"))
    bias.CopyFrom(numpy_helper.from_array(np.zeros(bias.dims, np.float32), bias.name))
    both = [rc.rewrite(plain, vit_mask=where, classes="all", normalize="none") for where in ("residual", "post-norm")]
    np.testing.assert_allclose(maps(both[1]), maps(both[0]), rtol=1e-5, atol=1e-6)


def test_it_costs_no_more_and_nothing_is_multiplied_out() -> None:
    from onnx_reciprocam.contract import RewriteOptions, VitMask
    from onnx_reciprocam.rewriter import rewrite_with

    residual, post_norm = (
        rewrite_with(transformer("timm_vit.ts13"), None, RewriteOptions(vit_mask=where)) for where in VitMask
    )
    assert post_norm.cost <= residual.cost
    assert not [note for note in post_norm.notes if note.widened]


def test_strip_gives_the_original_back() -> None:
    plain = transformer("timm_vit.dynamon")
    assert rc.strip(rc.rewrite(plain, vit_mask="post-norm")).SerializeToString() == plain.SerializeToString()


def test_the_metadata_say_residual_for_tokens_alone() -> None:
    said = metadata(rc.rewrite(transformer("timm_vit.ts1")))
    assert said["vit_mask"] == "residual"
    assert "norm" not in said
    assert not {"vit_mask", "norm"} & metadata(rc.rewrite(transformer("swin.ts1"))).keys()


# refusals -----------------------------------------------------------------------------------------------------------


def test_a_map_is_no_row_of_tokens() -> None:
    with pytest.raises(NoNormError, match=r"'/permute/Transpose': its cells are no tokens\. It fits no target"):
        rc.rewrite(transformer("swin.ts1"), vit_mask="post-norm")


def test_behind_the_last_block_there_is_no_norm_of_tokens() -> None:
    with pytest.raises(NoNormError, match=r"'node_add_197': no norm .* it fits: 'node_add_168', 'node_add_107', "):
        rc.rewrite(transformer("vit_mean.dynamon"), vit_mask="post-norm")


def test_before_the_positions_are_added_there_is_no_norm() -> None:
    with pytest.raises(NoNormError, match=r"'/Concat': no norm .* it fits: '/Add', '/blocks/blocks.0/Add', "):
        rc.rewrite(transformer("timm_vit.ts1"), target="/Concat", vit_mask="post-norm")


def test_words() -> None:
    with pytest.raises(OptionError, match=r"--vit-mask does not take 'purple'; it takes residual, post-norm"):
        rc.rewrite(transformer("timm_vit.ts1"), vit_mask="purple")


# which tensor is the norm -------------------------------------------------------------------------------------------

CHANNELS, CLASSES = 6, 5
LAYER_NORM = make("LayerNormalization", ["x", "gain", "bias"], ["n"])
MIX = make("MatMul", ["n", "w.mix"], ["f"])
AROUND = make("Add", ["x", "f"], ["y"])
FOUND = {
    "one operator": [LAYER_NORM, MIX, AROUND],
    "root mean square, spelled out": [
        make("Mul", ["x", "x"], ["square"]),
        make("ReduceMean", ["square"], ["mean"], axes=[-1]),
        make("Add", ["mean", "epsilon"], ["moved"]),
        make("Sqrt", ["moved"], ["root"]),
        make("Div", ["x", "root"], ["unit"]),
        make("Mul", ["unit", "gain"], ["n"]),
        MIX,
        AROUND,
    ],
    "one norm, two branches": [
        LAYER_NORM,
        MIX,
        make("MatMul", ["n", "w.other"], ["g"]),
        make("Add", ["x", "f"], ["half"]),
        make("Add", ["half", "g"], ["y"]),
    ],
    "positions behind the norm": [
        LAYER_NORM,
        make("Add", ["n", "positions"], ["placed"]),
        make("MatMul", ["placed", "w.mix"], ["f"]),
        AROUND,
    ],
}
REFUSED = {
    "no norm": [make("MatMul", ["x", "w.mix"], ["f"]), AROUND],
    "two norms": [
        LAYER_NORM,
        make("LayerNormalization", ["x", "bias", "gain"], ["m"]),
        make("MatMul", ["m", "w.mix"], ["g"]),
        make("Add", ["x", "g"], ["half"]),
        MIX,
        make("Add", ["half", "f"], ["y"]),
    ],
    "the norm comes last": [
        make("MatMul", ["x", "w.mix"], ["f"]),
        make("Add", ["x", "f"], ["sum"]),
        make("LayerNormalization", ["sum", "gain", "bias"], ["y"]),
    ],
    "positions before the norm": [
        make("Add", ["x", "positions"], ["placed"]),
        make("LayerNormalization", ["placed", "gain", "bias"], ["n"]),
        MIX,
        AROUND,
    ],
    "over all tokens": [make("LayerNormalization", ["x", "positions"], ["n"], axis=1), MIX, AROUND],
}


def classifier(block: list[onnx.NodeProto]) -> onnx.ModelProto:
    """``image > patches x [b, 16, 6] > y > mean > logits``."""
    nodes = [
        make("Conv", ["image", "w.patch"], ["map"], strides=[2, 2]),
        make("Reshape", ["map", "rows"], ["row"]),
        make("Transpose", ["row"], ["x"], "x", perm=[0, 2, 1]),
        *block,
        make("ReduceMean", ["y"], ["pooled"], axes=[1], keepdims=0),
        make("Gemm", ["pooled", "w.fc"], ["logits"]),
    ]
    rng = np.random.default_rng(0)
    shapes = {
        "w.patch": (CHANNELS, 3, 2, 2), "w.mix": (CHANNELS, CHANNELS), "w.other": (CHANNELS, CHANNELS), "gain": (CHANNELS,),
        "bias": (CHANNELS,), "positions": (16, CHANNELS), "w.fc": (CHANNELS, CLASSES),
    }  # fmt: skip
    values = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    values |= {"rows": np.array([0, CHANNELS, -1]), "epsilon": np.array(1e-5, np.float32)}
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", CLASSES])
    weights = [numpy_helper.from_array(array, name) for name, array in values.items()]
    graph = helper.make_graph(nodes, "tiny", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("name", FOUND)
def test_the_norm_is_found(name: str) -> None:
    plain = classifier(FOUND[name])
    explained = rc.rewrite(plain, target="x", vit_mask="post-norm", normalize="none")
    assert metadata(explained)["norm"] == "n"
    found = rc.verify(explained, plain)
    assert found.passed, found


@pytest.mark.parametrize("name", REFUSED)
def test_there_is_no_norm_to_mask(name: str) -> None:
    with pytest.raises(NoNormError, match="'x': no norm stands directly behind it"):
        rc.rewrite(classifier(REFUSED[name]), target="x", vit_mask="post-norm")
