"""A small residual network in every precision that deployed files have."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

make = helper.make_node


def network() -> onnx.ModelProto:
    """``[b, 3, 12, 12] -> [b, 10]``, cells 6 x 6: two 3x3 convolutions with a sum around one, 1x1, depthwise, 1x1, pool, Gemm."""
    shapes = {"stem": (8, 3, 3, 3), "branch": (8, 8, 3, 3), "wide": (16, 8, 1, 1), "deep": (16, 1, 3, 3)}
    shapes |= {"last": (16, 16, 1, 1), "fc": (10, 16)}
    rng = np.random.default_rng(0)
    weights: dict[str, NDArray[np.float32]] = {}
    for name, shape in shapes.items():
        weights[f"{name}.w"] = rng.standard_normal(shape, np.float32) * np.float32(1.6 / np.sqrt(np.prod(shape[1:])))
        weights[f"{name}.b"] = rng.standard_normal(shape[0], np.float32) / 4
    nodes = [
        *layer("stem", "image", strides=[2, 2]),
        make("Conv", ["stem", "branch.w", "branch.b"], ["b"], "branch.conv"),
    ]
    nodes[-1].attribute.extend(
        [helper.make_attribute("pads", [1, 1, 1, 1]), helper.make_attribute("kernel_shape", [3, 3])]
    )
    nodes += [make("Add", ["b", "stem"], ["sum"], "sum"), make("Relu", ["sum"], ["branch"], "branch")]
    nodes += layer("wide", "branch", kernel=1) + layer("deep", "wide", group=16) + layer("last", "deep", kernel=1)
    nodes += [make("GlobalAveragePool", ["last"], ["pooled"], "pool"), make("Flatten", ["pooled"], ["flat"], "flatten")]
    nodes += [make("Gemm", ["flat", "fc.w", "fc.b"], ["scores"], "fc", transB=1)]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, 12, 12])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["b", 10])
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "small", [image], [scores], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def layer(name: str, source: str, kernel: int = 3, **attrs: Any) -> list[onnx.NodeProto]:
    sides = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, **attrs}
    conv = make("Conv", [source, f"{name}.w", f"{name}.b"], [f"{name}.conv"], f"{name}.conv", **sides)
    return [conv, make("Relu", [f"{name}.conv"], [name], name)]


# int8 ---------------------------------------------------------------------------------------------------------------


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """Images to find scales with."""

    def __init__(self, model: onnx.ModelProto) -> None:
        image, rng = model.graph.input[0], np.random.default_rng(7)
        shape = [dim.dim_value or 1 for dim in image.type.tensor_type.shape.dim]
        self._left = [{image.name: rng.standard_normal(shape, np.float32)} for _ in range(4)]

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return self._left.pop() if self._left else None


def _prepared(model: onnx.ModelProto, folder: Path) -> Path:
    """As the quantiser's manual wants it: optimised, batch norms folded."""
    path = folder / "float.onnx"
    onnx.save(model, path)
    quant_pre_process(path, path, skip_symbolic_shape=True)
    return path


def static(model: onnx.ModelProto, folder: Path, form: str, activations: str, *, per_channel: bool) -> onnx.ModelProto:
    """``QDQ`` or ``QOperator``, with ``QUInt8`` or ``QInt8`` activations."""
    source, path = _prepared(model, folder), folder / "int8.onnx"
    kinds = {"quant_format": QuantFormat[form], "activation_type": QuantType[activations]}
    quantize_static(source, path, Noise(model), **kinds, weight_type=QuantType.QInt8, per_channel=per_channel)
    return onnx.load(path)


def dynamic(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    source, path = _prepared(model, folder), folder / "dynamic.onnx"
    quantize_dynamic(source, path)
    return onnx.load(path)


def convolutions_alone(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Float behind the last convolution."""
    source, path = _prepared(model, folder), folder / "mixed.onnx"
    quantize_static(source, path, Noise(model), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"])
    return onnx.load(path)


# weights alone ------------------------------------------------------------------------------------------------------


def weights_stored(
    model: onnx.ModelProto, store: Callable[[NDArray[np.float32]], tuple[onnx.NodeProto, list[NDArray[Any]]]]
) -> onnx.ModelProto:
    """Every matrix and kernel in another form, behind a node that makes floats of it."""
    model = copy.deepcopy(model)
    nodes = []
    for tensor in list(model.graph.initializer):
        if len(tensor.dims) < 2 or tensor.data_type != TensorProto.FLOAT:
            continue
        node, arrays = store(numpy_helper.to_array(tensor))
        node.input.extend(f"{tensor.name}.{i}" for i in range(len(arrays)))
        node.output.append(tensor.name)
        model.graph.initializer.remove(tensor)
        model.graph.initializer.extend(map(numpy_helper.from_array, arrays, node.input))
        nodes.append(node)
    nodes.extend(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def as_int8(weights: NDArray[np.float32]) -> tuple[onnx.NodeProto, list[NDArray[Any]]]:
    """One scale per output channel."""
    scales = np.abs(weights).reshape(len(weights), -1).max(axis=1) / np.float32(127)
    whole = np.round(weights / scales.reshape(-1, *[1] * (weights.ndim - 1))).astype(np.int8)
    return make("DequantizeLinear", [], [], axis=0), [whole, scales, np.zeros(len(scales), np.int8)]


def as_bfloat16(weights: NDArray[np.float32]) -> tuple[onnx.NodeProto, list[NDArray[Any]]]:
    narrow = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    return make("Cast", [], [], to=TensorProto.FLOAT), [weights.astype(narrow)]


def four_bits(model: onnx.ModelProto, block: int = 16, **attrs: int) -> onnx.ModelProto:
    """Every matrix of a MatMul in blocks of 4 bits, two to a byte."""
    model = copy.deepcopy(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        matrix = numpy_helper.to_array(weights[node.input[1]]).T
        if matrix.shape[1] % block:
            continue
        blocks = matrix.reshape(len(matrix), -1, block)
        scales = np.abs(blocks).max(axis=2) / np.float32(7)
        whole = (np.round(blocks / scales[..., None]) + 8).astype(np.uint8)
        arrays = [whole[..., ::2] | whole[..., 1::2] << 4, scales.ravel()]
        names = [f"{node.name}.{i}" for i in range(2)]
        model.graph.initializer.extend(map(numpy_helper.from_array, arrays, names))
        sizes = {"N": len(matrix), "K": matrix.shape[1], "bits": 4, "block_size": block}
        packed = make("MatMulNBits", [node.input[0], *names], node.output, node.name, domain="com.microsoft", **sizes)
        packed.attribute.extend(helper.make_attribute(*entry) for entry in attrs.items())
        node.CopyFrom(packed)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


# bfloat16 -----------------------------------------------------------------------------------------------------------


def all_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights, inputs and outputs."""
    model, narrow = copy.deepcopy(model), helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(narrow), tensor.name))
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.elem_type = TensorProto.BFLOAT16
    return model


def through_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every Relu's result cast to bfloat16 and back."""
    model = copy.deepcopy(model)
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Relu":
            name = node.output[0]
            node.output[0] = f"{name}.float"
            nodes.append(make("Cast", [f"{name}.float"], [f"{name}.half"], f"{name}.half", to=TensorProto.BFLOAT16))
            nodes.append(make("Cast", [f"{name}.half"], [name], f"{name}.back", to=TensorProto.FLOAT))
    nodes = copy.deepcopy(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
