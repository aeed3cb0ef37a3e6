"""Scale the laws of a skeleton so that what is drawn from them is a healthy network.

One image goes through the network node by node; each layer's filters are scaled until its output has deviation one,
and each BatchNormalization is told the mean and variance of what it gets (layer-sequential unit variance, Mishkin &
Matas, arXiv:1511.06422). Weights of another seed behave alike, because only statistics of whole tensors are fixed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from laws import Law
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Values = dict[str, NDArray[Any]]

GATE = 0.3
"""Deviation of what a layer makes of a pooled map of one cell, as in squeeze-and-excitation: one would let a block that
gets a little too much open its gates, and pass on more than it got."""


def calibrate(model: onnx.ModelProto, image: NDArray[np.float32]) -> None:
    """Rewrite the laws in place, with the weights of seed 0.

    Args:
        model: A skeleton with first guesses in the ``doc_string`` of its weights.
        image: ``[B, 3, H, W]``, standard normal as a rule.
    """
    tensors = {tensor.name: (index, tensor) for index, tensor in enumerate(model.graph.initializer)}
    values: Values = {model.graph.input[0].name: image}
    for index, tensor in tensors.values():
        values[tensor.name] = _drawn(tensor, index) if tensor.doc_string else numpy_helper.to_array(tensor)
    seen: set[str] = set()
    for node in model.graph.node:
        laws = {
            name: Law.from_json(tensors[name][1].doc_string)
            for name in node.input
            if _is_weight(name, tensors) and name not in seen
        }
        seen |= laws.keys()  # what two layers share is scaled for the first
        for name, law in _adjusted(node, laws, values, model).items():
            index, tensor = tensors[name]
            tensor.doc_string = law.to_json()
            values[name] = _drawn(tensor, index)
        values |= _run(node, values, model)


def _is_weight(name: str, tensors: dict[str, tuple[int, onnx.TensorProto]]) -> bool:
    return name in tensors and bool(tensors[name][1].doc_string)


def _drawn(tensor: onnx.TensorProto, index: int) -> NDArray[np.float32]:
    return Law.from_json(tensor.doc_string).draw(tensor.dims, 0, index)


def _adjusted(node: onnx.NodeProto, laws: dict[str, Law], values: Values, model: onnx.ModelProto) -> dict[str, Law]:
    """The laws that this node's input calls for, by name."""
    if node.op_type == "BatchNormalization" and laws.keys() >= set(node.input[3:5]):
        mean, deviation = float(np.mean(values[node.input[0]])), float(np.std(values[node.input[0]]))
        return {
            node.input[3]: Law("normal", mean, 0.1 * deviation),
            node.input[4]: Law("uniform", deviation**2, 0.5 * deviation**2),
        }
    filters = {name: law for name, law in laws.items() if law.kind == "filters"}
    if not filters:
        return {}
    unbiased = onnx.NodeProto()
    unbiased.CopyFrom(node)
    del unbiased.input[2:]  # the bias is not scaled along
    output = _run(unbiased, values, model)[node.output[0]]
    wanted = GATE if output.shape[2:] == (1, 1) else 1.0
    return {name: replace(law, spread=law.spread * wanted / float(np.std(output))) for name, law in filters.items()}


def _run(node: onnx.NodeProto, values: Values, model: onnx.ModelProto) -> Values:
    """The outputs of a single node, by name."""
    feeds = {name: values[name] for name in node.input if name}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
        for name, value in feeds.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    alone = helper.make_model(
        helper.make_graph([node], "node", inputs, outputs),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a node is done sooner than threads are started
    session = onnxruntime.InferenceSession(alone.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip((output.name for output in outputs), session.run(None, feeds), strict=True))
