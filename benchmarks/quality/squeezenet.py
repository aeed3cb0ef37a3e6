"""SqueezeNet 1.1 as ONNX, from the ImageNet weights that the package ``ndf`` carries.

It has no linear layer: a 1x1 convolution makes a map per class, and their averages are the logits.

Source:
    Iandola et al., SqueezeNet, arXiv:1602.07360; the Caffe model of https://github.com/forresti/SqueezeNet, 1.1.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.contract import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 227
OPSET = 17
IR_VERSION = 8
POOLED = (1, 3, 5)  # what these layers make is pooled: conv1, fire3 and fire5
MEAN = (104.006, 116.669, 122.679)  # of ImageNet's blue, green, red
PREPROCESSING = Preprocessing(size=(SIZE, SIZE), crop=SIZE / 256, mean=MEAN, std=(1.0,) * 3, scale=1.0, color="bgr")

ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty((0,), np.float32).__reduce__()[0],
}
"""What numpy's arrays are pickled with."""


class _ArrayUnpickler(pickle.Unpickler):
    """A pickle is a program; this one may make arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return ALLOWED[module, name]


def read_weights(data: bytes) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernels ``[O, I, H, W]`` and biases ``[O]`` by the name of their layer.

    Raises:
        UnpicklingError: It holds something other than lists of float32 arrays.
    """
    weights = {}
    for name, (kernel, bias) in _ArrayUnpickler(io.BytesIO(data)).load().items():
        if any(type(array) is not np.ndarray or array.dtype != np.float32 for array in (kernel, bias)):
            raise pickle.UnpicklingError(f"{name} is no pair of float32 arrays")
        weights[name] = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), bias)
    return weights


@dataclass
class _Network:
    weights: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def convolution(self, name: str, x: str, stride: int = 1, pad: int = 0) -> str:
        """A convolution and its ReLU."""
        for part, value in zip(("weight", "bias"), self.weights[name], strict=True):
            self.initializers.append(numpy_helper.from_array(value, f"{name}/{part}"))
        side = self.weights[name][0].shape[-1]
        x = self.node(
            "Conv",
            f"{name}/Conv",
            x,
            f"{name}/weight",
            f"{name}/bias",
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[pad] * 4,
        )
        return self.node("Relu", f"{name}/Relu", x)

    def fire(self, number: int, x: str) -> str:
        """Squeeze the channels, then expand them twice, and put both side by side."""
        x = self.convolution(f"fire{number}/squeeze1x1", x)
        small = self.convolution(f"fire{number}/expand1x1", x)
        large = self.convolution(f"fire{number}/expand3x3", x, pad=1)
        return self.node("Concat", f"fire{number}/Concat", small, large, axis=1)

    def pool(self, number: int, x: str) -> str:
        # Caffe counts a last window that reaches over the edge.
        return self.node("MaxPool", f"pool{number}", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


def squeezenet(pickled: bytes) -> onnx.ModelProto:
    """Build the classifier from the package's ``squeezenet_weights.pkl``.

    Returns:
        Opset 17, float32: ``image`` ``[batch, 3, 227, 227]``, prepared as :data:`PREPROCESSING` says, to
        ``probabilities`` ``[batch, 1000]``.
    """
    network = _Network(read_weights(pickled))
    x = network.convolution("conv1", "image", stride=2)
    for number in range(1, 10):
        x = network.fire(number, x) if number > 1 else x
        x = network.pool(number, x) if number in POOLED else x
    x = network.node("GlobalAveragePool", "pool10", network.convolution("conv10", x))
    network.node("Softmax", "probabilities", network.node("Flatten", "logits", x), axis=1)
    graph = helper.make_graph(
        network.nodes,
        "squeezenet1.1",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 1000])],
        network.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnx_reciprocam")
