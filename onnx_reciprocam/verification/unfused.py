"""The original in the words in which its end can be read: local functions inlined, a Sigmoid taken out of a product."""

from __future__ import annotations

import onnx
import onnx.inliner
from onnx import helper

_OWN = "activation"


def unfused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network; itself where nothing is to be done.

    onnxruntime's optimiser fuses the Sigmoid behind a linear layer with it (``FusedGemm``), so that no tensor holds the
    logits any more.
    """
    flat = onnx.inliner.inline_local_functions(model) if model.functions else model
    if not any(map(_has_sigmoid, flat.graph.node)):
        return flat
    nodes = [part for node in flat.graph.node for part in (_parts(node) if _has_sigmoid(node) else [node])]
    copy = onnx.ModelProto()
    copy.CopyFrom(flat)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _has_sigmoid(node: onnx.NodeProto) -> bool:
    return node.op_type == "FusedGemm" and any(entry.s == b"Sigmoid" for entry in node.attribute)


def _parts(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    logits = f"{node.output[0]}/logits"
    gemm = helper.make_node("Gemm", node.input, [logits], node.name)
    gemm.attribute.extend(entry for entry in node.attribute if not entry.name.startswith(_OWN))
    return [gemm, helper.make_node("Sigmoid", [logits], node.output)]
