"""Explained files whose maps are the network's input itself: what a map says is what the network was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import TensorProto, helper

from onnx_reciprocam.contract import Contract, Preprocessing

if TYPE_CHECKING:
    from pathlib import Path

LEVELS: dict[str, Any] = {"mean": (0.0,), "std": (1.0,), "scale": 1.0}
"""Preprocessing that hands the pixels on as they are."""


def mirror(
    path: Path,
    preprocessing: Preprocessing,
    *,
    dtype: int = TensorProto.FLOAT,
    shape: tuple[int | str, ...] | None = None,
) -> Path:
    """Write one; its classes are the channels, scored by their mean.

    ``preprocessing`` has ``size`` and ``layout``; ``shape`` is what the file declares, by default what that makes.
    """
    channels = 1 if preprocessing.color == "gray" else 3
    last = preprocessing.layout == "nhwc"
    sides = preprocessing.size or ("h", "w")
    declared = shape or ((1, *sides, channels) if last else (1, channels, *sides))
    nodes = [helper.make_node("Cast", ["image"], ["given"], to=TensorProto.FLOAT)]
    if len(declared) == 4:
        nodes.append(
            helper.make_node("Transpose", ["given"], ["saliency"], perm=[0, 3, 1, 2] if last else [0, 1, 2, 3])
        )
    else:
        nodes.append(helper.make_node("Reshape", ["given", "map"], ["saliency"]))
    nodes.append(helper.make_node("GlobalAveragePool", ["saliency"], ["means"]))
    nodes.append(helper.make_node("Flatten", ["means"], ["logits"]))
    outputs = {"logits": (1, channels), "saliency": (1, channels, "rows", "columns")}
    graph = helper.make_graph(
        nodes,
        "mirror",
        [helper.make_tensor_value_info("image", dtype, declared)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in outputs.items()],
        [helper.make_tensor("map", TensorProto.INT64, [4], [1, channels, 1, -1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, _contract(preprocessing).to_metadata())
    path.write_bytes(model.SerializeToString())
    return path


def _contract(preprocessing: Preprocessing) -> Contract:
    return Contract(
        target="given", method="reciprocam", mask="pixel", score="logit", classes="all", normalize="none",
        upsample="none", layout="b c h w", grid=(None, None), outputs={"score": "logits", "saliency": "saliency"},
        inputs={"image": "image"}, namespace="mirror/", source_sha256="0" * 64, preprocessing=preprocessing,
    )  # fmt: skip
