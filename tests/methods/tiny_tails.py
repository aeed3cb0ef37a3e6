"""Classifiers of a few hundred weights whose target has every kind of tail behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skeleton import transformer
from slow_maps import Slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CLASSES = 3
TARGET = "map"


class Net:
    """``image > Conv > map``, and what is added behind; names of tensors go in, names come out.

    Args:
        batch: Declared.
        channels: Of the map.
        grid: Of the map.
        opset: Of the file.
        seed: Of the weights.
    """

    def __init__(
        self,
        batch: int | str = "batch",
        channels: int = 4,
        grid: tuple[int, int] = (3, 4),
        opset: int = 17,
        seed: int = 0,
    ) -> None:
        self.batch, self.channels, self.grid, self.opset = batch, channels, grid, opset
        self.random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self.conv("image", channels, 3, read=3, strides=[2, 2], output=TARGET)

    def op(self, kind: str, *inputs: str | NDArray[Any], output: str = "", **attrs: Any) -> str:
        """Add a node; arrays become weights."""
        output = output or f"{kind}_{len(self._nodes)}"
        names = [value if isinstance(value, str) else self.weight(value) for value in inputs]
        self._nodes.append(helper.make_node(kind, names, [output], f"node.{output}", **attrs))
        return output

    def weight(self, values: NDArray[Any], name: str = "") -> str:
        name = name or f"weight_{len(self._weights)}"
        values = values.astype(np.float32) if values.dtype == np.float64 else values
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def normal(self, *shape: int, scale: float = 1) -> NDArray[np.float32]:
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def conv(
        self, x: str, made: int, kernel: int, *, read: int = 0, group: int = 1, output: str = "", **attrs: Any
    ) -> str:
        """A convolution that keeps the grid, with healthy weights."""
        read = (read or self.channels) // group
        weight = self.normal(made, read, kernel, kernel, scale=(read * kernel * kernel) ** -0.5 * 1.5)
        attrs = {"kernel_shape": [kernel, kernel], "pads": [kernel // 2] * 4, "group": group, **attrs}
        bias = self.normal(made, scale=0.3) + (
            np.float32(1) if output == TARGET else 0
        )  # activations tend to be positive
        return self.op("Conv", x, weight, bias, output=output, **attrs)

    def batch_norm(self, x: str) -> str:
        c = self.channels
        scale, shift, mean = self.normal(c, scale=0.3) + 1, self.normal(c, scale=0.3), self.normal(c, scale=0.3)
        return self.op("BatchNormalization", x, scale, shift, mean, np.abs(self.normal(c)) + np.float32(0.5))

    def pooled(self, x: str, output: str = "logits", features: int = 0) -> str:
        """Global pool and linear layer."""
        flat = self.op("Flatten", self.op("GlobalAveragePool", x))
        return self.linear(flat, features or self.channels, output)

    def linear(self, flat: str, features: int, output: str = "logits") -> str:
        weight = self.weight(self.normal(CLASSES, features), "head")
        return self.op("Gemm", flat, weight, self.weight(self.normal(CLASSES), "bias"), output=output, transB=1)

    def model(self, output: str = "logits") -> onnx.ModelProto:
        """The file; images are twice as high and wide as the grid."""
        image: list[int | str] = [self.batch, 3, 2 * self.grid[0], 2 * self.grid[1]]
        graph = helper.make_graph(
            self._nodes,
            "tiny",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [self.batch, CLASSES])],
            self._weights,
        )
        imports = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports))


# tails --------------------------------------------------------------------------------------------------------------


def pooled(net: Net) -> None:
    net.pooled(TARGET)


def conv_relu(net: Net) -> None:
    net.pooled(net.op("Relu", net.conv(net.op("Relu", TARGET), net.channels, 3)))


def max_pool(net: Net) -> None:
    """Windows of twice two cells that overlap, and a weight per cell."""
    x = net.op("MaxPool", TARGET, kernel_shape=[2, 2], strides=[1, 1])
    cells = (net.grid[0] - 1) * (net.grid[1] - 1)
    net.linear(net.op("Flatten", x), net.channels * cells)


def hard_swish(net: Net) -> None:
    net.pooled(net.op("HardSwish", net.batch_norm(net.conv(TARGET, net.channels, 3, group=net.channels))))


def swish(net: Net) -> None:
    x = net.batch_norm(net.conv(TARGET, net.channels, 3, group=net.channels))
    net.pooled(net.op("Mul", x, net.op("Sigmoid", x)))


def squeeze_excite(net: Net) -> None:
    squeezed = net.conv(net.op("GlobalAveragePool", TARGET), 2, 1)
    gate = net.op("Sigmoid", net.conv(net.op("Relu", squeezed), net.channels, 1, read=2))
    net.pooled(net.conv(net.op("Mul", TARGET, gate), net.channels, 3))


def residual_dense(net: Net) -> None:
    """Two paths added, then joined with a third; strided, averaged, at last the largest of each channel."""
    x = net.op("Add", TARGET, net.conv(net.op("Softplus", TARGET), net.channels, 3))
    x = net.op("Concat", x, net.op("Tanh", TARGET), axis=1)
    x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], pads=[1, 1, 0, 0], count_include_pad=1)
    x = net.conv(x, 5, 3, read=2 * net.channels, strides=[2, 2])
    net.linear(net.op("Flatten", net.op("GlobalMaxPool", x)), 5)


def channels_last(net: Net) -> None:
    """As tf2onnx leaves a file: the target itself is NHWC, a dense layer over channels, the mean over cells."""
    x = net.op("Transpose", TARGET, perm=[0, 2, 3, 1], output="nhwc")
    x = net.op("Add", net.op("MatMul", x, net.normal(net.channels, net.channels)), net.normal(net.channels))
    x = net.op("ReduceMean", net.op("Elu", x), axes=[1, 2], keepdims=0)
    net.op("Add", net.op("MatMul", x, net.normal(net.channels, CLASSES)), net.normal(CLASSES), output="logits")


def channels_last_around(net: Net) -> None:
    """The same with a convolution between Transposes, and a Reshape to a length that the file knows."""
    x = net.op("Transpose", TARGET, perm=[0, 2, 3, 1], output="nhwc")
    x = net.conv(net.op("Transpose", x, perm=[0, 3, 1, 2]), net.channels, 3)
    x = net.op("Transpose", net.op("Selu", x), perm=[0, 2, 3, 1])
    length = net.channels * net.grid[0] * net.grid[1]
    net.linear(net.op("Reshape", x, np.array([-1, length])), length)


def convnext(net: Net) -> None:
    """Depthwise, norm over channels at the end, GELU in parts, back, scaled, added."""
    c = net.channels
    x = net.op("Transpose", net.conv(TARGET, c, 3, group=c), perm=[0, 2, 3, 1])
    x = net.op("LayerNormalization", x, net.normal(c) + 1, net.normal(c), axis=-1)
    x = net.op("Add", net.op("MatMul", x, net.normal(c, 2 * c, scale=0.5)), net.normal(2 * c))
    erf = net.op("Erf", net.op("Div", x, np.array(np.sqrt(2))))
    x = net.op("Mul", net.op("Mul", x, net.op("Add", erf, np.array(1.0))), np.array(0.5))
    x = net.op("Transpose", net.op("MatMul", x, net.normal(2 * c, c, scale=0.5)), perm=[0, 3, 1, 2])
    net.pooled(net.op("Add", TARGET, net.op("Mul", x, net.normal(c, 1, 1))))


def shuffle(net: Net) -> None:
    """Channels in two groups dealt out in turn, cut in halves, one of them through a clip; by a Reshape that knows the batch."""
    c, (h, w) = net.channels, net.grid
    images = net.batch if isinstance(net.batch, int) else -1
    normed = net.op("InstanceNormalization", TARGET, net.normal(c) + 1, net.normal(c))
    parts = net.op("Reshape", net.conv(net.op("Add", TARGET, normed), c, 1), np.array([images, 2, c // 2, h, w]))
    x = net.op("Reshape", net.op("Transpose", parts, perm=[0, 2, 1, 3, 4]), np.array([images, c, h, w]))
    ends = [np.array([0]), np.array([c // 2]), np.array([c])]
    first, second = (net.op("Slice", x, ends[i], ends[i + 1], np.array([1])) for i in range(2))
    first = net.op("Clip", first, np.array(-0.9, np.float32), np.array(1.1, np.float32))
    x = net.op("Concat", second, net.op("LeakyRelu", first, alpha=0.1), axis=1)
    net.pooled(x)


def turned(net: Net) -> None:
    """Means along rows, before and behind a Transpose that puts rows where images were."""
    c, h = net.channels, net.grid[0]
    x = net.op("Mul", TARGET, net.op("ReduceMean", TARGET, axes=[3], keepdims=1))
    x = net.op("Tanh", net.op("Transpose", x, perm=[2, 1, 0, 3]))
    x = net.op("Transpose", net.op("ReduceMean", x, axes=[3], keepdims=0), perm=[2, 0, 1])
    net.linear(net.op("Reshape", x, np.array([-1, h * c])), h * c)


def padded(net: Net) -> None:
    """By widths that are worked out, as TorchScript writes them: a row above and two columns to the right."""
    ends = numpy_helper.from_array(np.zeros(1, np.int64))
    widths = net.op("Concat", np.array([0, 2, 1, 0]), net.op("ConstantOfShape", np.array([4]), value=ends), axis=0)
    pairs = net.op("Reshape", widths, np.array([-1, 2]))
    turned = net.op("Slice", pairs, np.array([-1]), np.array([-5]), np.array([0]), np.array([-1]))
    flat = net.op("Reshape", net.op("Transpose", turned, perm=[1, 0]), np.array([-1]))
    x = net.op("Pad", TARGET, net.op("Cast", flat, to=TensorProto.INT64))
    net.pooled(net.op("Relu", net.conv(x, net.channels, 3, pads=[0] * 4)))


def softmax(net: Net) -> None:
    conv_relu(net)
    net.op("Softmax", "logits", output="scores", axis=1)


def sigmoid(net: Net) -> None:
    swish(net)
    net.op("Sigmoid", "logits", output="scores")


@dataclass(frozen=True)
class Case:
    """A network with its target and what the oracle has to know of it.

    Args:
        grow: Adds the tail.
        target: Tensor.
        layout: Its axes.
        output: Of the file.
        score: Asked for.
        squash: What the oracle makes of logits.
        opset: Of the file.
        head: Whether CAM is defined.
        batch: Declared.
    """

    grow: Callable[[Net], None]
    target: str = TARGET
    layout: str = "b c h w"
    output: str = "logits"
    score: str = "logit"
    squash: str = ""
    opset: int = 17
    head: bool = False
    batch: int | str = "batch"

    def slow(self) -> Slow:
        """The file and its oracle."""
        net = Net(self.batch, opset=self.opset)
        self.grow(net)
        model = net.model(self.output)
        return Slow(model, self.target, "logits", self.layout, squash=self.squash, head="head" if self.head else "")

    def images(self, batch: int, seed: int = 5) -> NDArray[np.float32]:
        return np.random.default_rng(seed).standard_normal((batch, 3, 6, 8)).astype(np.float32)


@dataclass(frozen=True)
class Transformer(Case):
    """The last block of a tiny ViT as PyTorch exports it: patches behind a class token, 7 classes."""

    grow: Callable[[Net], None] = pooled
    file: str = "vit.ts1"
    height: int = 48

    def slow(self) -> Slow:
        model = transformer(self.file)
        return Slow(model, self.target, model.graph.output[0].name, "b n c", extra=1)

    def images(self, batch: int, seed: int = 5) -> NDArray[np.float32]:
        return np.random.default_rng(seed).standard_normal((batch, 3, self.height, 48)).astype(np.float32)


CASES: dict[str, Case] = {
    "pool, linear": Case(pooled, head=True),
    "conv, relu": Case(conv_relu),
    "max pool, flat": Case(max_pool),
    "depthwise, hard swish": Case(hard_swish),
    "depthwise, swish": Case(swish),
    "squeeze and excite": Case(squeeze_excite),
    "residual, dense": Case(residual_dense),
    "channels last": Case(channels_last, target="nhwc", layout="b h w c"),
    "channels last around": Case(channels_last_around, target="nhwc", layout="b h w c"),
    "convnext": Case(convnext),
    "shuffle": Case(shuffle),
    "turned": Case(turned),
    "padded": Case(padded),
    "logit before softmax": Case(softmax, output="scores"),
    "softmax": Case(softmax, output="scores", score="probability", squash="softmax"),
    "softmax not in the file": Case(conv_relu, score="probability", squash="softmax"),
    "sigmoid": Case(sigmoid, output="scores", score="probability", squash="sigmoid"),
}
STATIC = {
    f"{name}, batch of {batch}": replace(CASES[name], batch=batch)
    for name in ("conv, relu", "channels last around", "convnext", "shuffle", "softmax")
    for batch in (1, 3)
}
TRANSFORMERS = {
    "vit, one image": Transformer(target="/encoder/layers/encoder_layer_0/Add_1_output_0", batch=1),
    "vit, any batch": Transformer(file="timm_vit.dynamon", target="add_111", height=32),
}
"""Attention, a norm per token, GELU; the class token is behind it all."""
