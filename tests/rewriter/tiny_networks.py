"""Classifiers of a few hundred weights, in the dialects that exporters write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CHANNELS, CLASSES, EXTRA = 4, 5, 2
GRID = (3, 4)
"""Cells of every feature map where the image is 6 x 8 pixels."""

make = helper.make_node


@dataclass(frozen=True)
class Tiny:
    """``Conv, Relu, Conv, Relu, GlobalAveragePool, Flatten, Gemm`` and an ending; ``[b, 3, 6, 8] -> [b, 5]``.

    Args:
        opset: Of the file.
        ir_version: Of the file; 3 makes every weight an input, as files of that age must. None: the lowest that fits.
        batch: Declared batch.
        size: Declared height and width.
        classes: How many scores.
        ending: Operator behind the Gemm, or nothing.
        half: Whether all between the image and the scores is float16.
        constants: Whether weights are ``Constant`` nodes, as Paddle writes them.
        channels_last: Whether image and head are NHWC with Transposes around the convolutions, as tf2onnx writes them.
        vector: Whether a second input ``[b, 2]`` joins the pooled features.
        aux: Whether the feature map and a second head of 3 classes are outputs too, the map before the scores.
        named: Whether nodes have names.
    """

    opset: int = 17
    ir_version: int | None = None
    batch: int | str = "batch"
    size: tuple[int | str, int | str] = (6, 8)
    classes: int = CLASSES
    ending: str = ""
    half: bool = False
    constants: bool = False
    channels_last: bool = False
    vector: bool = False
    aux: bool = False
    named: bool = True

    def build(self) -> onnx.ModelProto:
        """The model; the same description gives the same weights."""
        nodes = [*self._features(), *self._head()]
        if not self.named:
            for node in nodes:
                node.ClearField("name")
        return assemble(
            nodes,
            self._weights(),
            self._inputs(),
            self._outputs(),
            opset=self.opset,
            ir_version=self.ir_version,
            constants=self.constants,
        )

    def _inputs(self) -> dict[str, Sequence[int | str]]:
        image = [self.batch, *self.size, 3] if self.channels_last else [self.batch, 3, *self.size]
        return {"image": image, "vector": [self.batch, EXTRA]} if self.vector else {"image": image}

    def _outputs(self) -> dict[str, Sequence[int | str]]:
        scores = {"scores": [self.batch, self.classes]}
        if not self.aux:
            return {**scores}
        return {"map": [self.batch, CHANNELS, "map_h", "map_w"], **scores, "other": [self.batch, 3]}

    def _weights(self) -> dict[str, NDArray[Any]]:
        rng = np.random.default_rng(0)
        width = CHANNELS + EXTRA * self.vector
        shapes: dict[str, tuple[int, ...]] = {
            "conv0.weight": (CHANNELS, 3, 3, 3),
            "conv0.bias": (CHANNELS,),
            "conv1.weight": (CHANNELS, CHANNELS, 3, 3),
            "conv1.bias": (CHANNELS,),
            "fc.weight": (width, self.classes) if self.channels_last else (self.classes, width),
            "fc.bias": (self.classes,),
        }
        if self.aux:
            shapes |= {"other.weight": (3, CHANNELS)}
        kind = np.float16 if self.half else np.float32
        return {name: (rng.standard_normal(shape) / 2).astype(kind) for name, shape in shapes.items()}

    def _features(self) -> list[onnx.NodeProto]:
        nodes, last = [], "image"
        if self.half:
            nodes.append(make("Cast", [last], ["image.half"], "to_half", to=TensorProto.FLOAT16))
            last = "image.half"
        if self.channels_last:
            nodes.append(make("Transpose", [last], ["image.nchw"], "to_nchw", perm=[0, 3, 1, 2]))
            last = "image.nchw"
        for layer, stride in enumerate((2, 1)):
            weights = [f"conv{layer}.weight", f"conv{layer}.bias"]
            sides: dict[str, Any] = {"strides": [stride, stride], "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
            nodes.append(make("Conv", [last, *weights], [f"conv{layer}.out"], f"conv{layer}", **sides))
            last = "map" if layer else "relu0.out"
            nodes.append(make("Relu", [f"conv{layer}.out"], [last], f"relu{layer}"))
        return nodes

    def _head(self) -> list[onnx.NodeProto]:
        nodes = self._pooled()
        last = "pooled"
        if self.vector:
            nodes.append(make("Concat", ["pooled", "vector"], ["joined"], "join", axis=1))
            last = "joined"
        steps = ["linear", *["ended"] * bool(self.ending), *["single"] * self.half]
        steps[-1] = "scores"
        if self.channels_last:
            nodes.append(make("MatMul", [last, "fc.weight"], ["product"], "fc"))
            nodes.append(make("Add", ["product", "fc.bias"], [steps[0]], "bias"))
        else:
            nodes.append(make("Gemm", [last, "fc.weight", "fc.bias"], [steps[0]], "fc", transB=1))
        if self.ending:
            over: dict[str, Any] = {"axis": 1} if "Softmax" in self.ending else {}
            nodes.append(make(self.ending, [steps[0]], [steps[1]], "ending", **over))
        if self.half:
            nodes.append(make("Cast", [steps[-2]], ["scores"], "to_single", to=TensorProto.FLOAT))
        if self.aux:
            nodes.append(make("Gemm", ["pooled", "other.weight"], ["other"], "other_fc", transB=1))
        return nodes

    def _pooled(self) -> list[onnx.NodeProto]:
        if self.channels_last:
            nhwc = make("Transpose", ["map"], ["map.nhwc"], "to_nhwc", perm=[0, 2, 3, 1])
            if self.opset < 18:
                return [nhwc, make("ReduceMean", ["map.nhwc"], ["pooled"], "pool", axes=[1, 2], keepdims=0)]
            axes = make("Constant", [], ["axes"], "axes", value_ints=[1, 2])
            return [nhwc, axes, make("ReduceMean", ["map.nhwc", "axes"], ["pooled"], "pool", keepdims=0)]
        return [
            make("GlobalAveragePool", ["map"], ["pool.out"], "pool"),
            make("Flatten", ["pool.out"], ["pooled"], "flatten"),
        ]


def residual() -> onnx.ModelProto:
    """``stem > [branch0 > branch1] + stem > add > relu > pool > fc``: what lies on the branch is bypassed."""
    sides: dict[str, Any] = {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
    nodes = [
        make("Conv", ["image", "w.stem"], ["stem.out"], "stem", strides=[2, 2], **sides),
        make("Conv", ["stem.out", "w.branch0"], ["branch0.out"], "branch0", **sides),
        make("Relu", ["branch0.out"], ["branch.relu.out"], "branch.relu"),
        make("Conv", ["branch.relu.out", "w.branch1"], ["branch1.out"], "branch1", **sides),
        make("Add", ["branch1.out", "stem.out"], ["add.out"], "add"),
        make("Relu", ["add.out"], ["relu.out"], "relu"),
        make("GlobalAveragePool", ["relu.out"], ["pool.out"], "pool"),
        make("Flatten", ["pool.out"], ["flat.out"], "flat"),
        make("Gemm", ["flat.out", "w.fc"], ["scores"], "fc", transB=1),
    ]
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {
        "w.stem": (CHANNELS, 3, 3, 3),
        "w.branch0": (CHANNELS, CHANNELS, 3, 3),
        "w.branch1": (CHANNELS, CHANNELS, 3, 3),
        "w.fc": (CLASSES, CHANNELS),
    }
    weights = {name: (rng.standard_normal(shape) / 2).astype(np.float32) for name, shape in shapes.items()}
    return assemble(nodes, weights, {"image": ["batch", 3, 6, 8]}, {"scores": ["batch", CLASSES]})


def assemble(
    nodes: Sequence[onnx.NodeProto],
    weights: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    *,
    opset: int = 17,
    ir_version: int | None = None,
    constants: bool = False,
) -> onnx.ModelProto:
    """A model with float32 inputs and outputs."""
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    entries = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    imports = [helper.make_opsetid("", opset)]
    ir_version = ir_version or max(4, helper.find_min_ir_version_for(imports))
    if ir_version < 4:
        entries += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    if constants:
        nodes = [*(make("Constant", [], [t.name], f"Constant_{t.name}", value=t) for t in tensors), *nodes]
        tensors = []
    graph = helper.make_graph(nodes, "tiny", entries, ends, tensors)
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
