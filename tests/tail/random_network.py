"""Small random networks out of the blocks that image classifiers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from bare_tail import Tail
    from hypothesis.strategies import DataObject

CLASSES = 4


class Growing:
    """A network under construction: its last tensor, ``[B, channels, height, width]``.

    Args:
        tail: Receives the nodes.
        data: Decides.
    """

    def __init__(self, tail: Tail, data: DataObject) -> None:
        self.tail, self.data = tail, data
        self.x, self.channels, self.grid = tail.x, tail.channels, tail.grid

    def scaled(self, *shape: int) -> np.ndarray:
        """Weights that keep values near one."""
        return self.tail.normal(*shape) / np.float32(np.sqrt(np.prod(shape[1:])))

    def bias(self, length: int) -> np.ndarray:
        return np.float32(0.3) * self.tail.normal(length)

    def conv(self, made: int, kernel: int = 1, stride: int = 1, group: int = 1) -> None:
        weight = self.scaled(made, self.channels // group, kernel, kernel)
        pad = kernel // 2
        self.x = self.tail.op(
            "Conv", self.x, weight, self.bias(made), strides=[stride] * 2, pads=[pad] * 4, group=group
        )
        self.channels = made
        self.grid = ((self.grid[0] - 1) // stride + 1, (self.grid[1] - 1) // stride + 1)


def pointwise(net: Growing) -> None:
    net.conv(net.data.draw(st.sampled_from([2, 4, 6]), "channels"))


def spatial(net: Growing) -> None:
    net.conv(4, kernel=3, stride=net.data.draw(st.integers(1, 2), "stride"))


def depthwise(net: Growing) -> None:
    net.conv(net.channels, kernel=3, group=net.channels)


def pool(net: Growing) -> None:
    kind = net.data.draw(st.sampled_from(["MaxPool", "AveragePool"]), "pool")
    net.x = net.tail.op(kind, net.x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])


def activation(net: Growing) -> None:
    kind = net.data.draw(st.sampled_from(["Relu", "Sigmoid", "HardSigmoid", "LeakyRelu", "Softplus", "swish"]), "act")
    gate = net.tail.op("Sigmoid" if kind == "swish" else kind, net.x)
    net.x = net.tail.op("Mul", net.x, gate) if kind == "swish" else gate


def batch_norm(net: Growing) -> None:
    c = net.channels
    statistics = [net.tail.normal(c), net.bias(c), net.bias(c), np.abs(net.tail.normal(c)) + np.float32(0.5)]
    net.x = net.tail.op("BatchNormalization", net.x, *statistics)


def residual(net: Growing) -> None:
    before = net.x
    net.data.draw(st.sampled_from([activation, batch_norm, depthwise, pool]), "branch")(net)
    net.conv(net.channels)
    net.x = net.tail.op("Add", before, net.x)


def dense(net: Growing) -> None:
    before, channels = net.x, net.channels
    net.conv(2, kernel=net.data.draw(st.sampled_from([1, 3]), "kernel"))
    net.x, net.channels = net.tail.op("Concat", before, net.x, axis=1), channels + 2


def squeeze_excite(net: Growing) -> None:
    before = net.x
    net.x = net.tail.op("GlobalAveragePool", net.x)
    grid, channels = net.grid, net.channels
    net.grid = (1, 1)
    net.conv(2)
    net.x = net.tail.op("Relu", net.x)
    net.conv(channels)
    net.x, net.grid = net.tail.op("Mul", before, net.tail.op("Sigmoid", net.x)), grid


def shuffle(net: Growing) -> None:
    """Channels in two groups, dealt out in turn."""
    groups = 2 if net.channels % 2 == 0 else 1
    parts = net.tail.op("Reshape", net.x, np.array([-1, groups, net.channels // groups, *net.grid]))
    dealt = net.tail.op("Transpose", parts, perm=[0, 2, 1, 3, 4])
    net.x = net.tail.op("Reshape", dealt, np.array([-1, net.channels, *net.grid]))


def channels_last(net: Growing) -> None:
    """ConvNeXt's linear layer: channels moved behind, and back."""
    moved = net.tail.op("Transpose", net.x, perm=[0, 2, 3, 1])
    mixed = net.tail.op("MatMul", moved, net.scaled(net.channels, net.channels))
    net.x = net.tail.op("Transpose", net.tail.op("Add", mixed, net.bias(net.channels)), perm=[0, 3, 1, 2])


def half(net: Growing) -> None:
    """Split, one half worked on, joined again in the other order."""
    if net.channels % 2:
        return
    channels = net.channels // 2
    rows = np.arange(net.channels)
    first, second = (net.tail.op("Gather", net.x, part, axis=1) for part in (rows[:channels], rows[channels:]))
    net.x, net.channels = first, channels
    activation(net)
    net.x, net.channels = net.tail.op("Concat", second, net.x, axis=1), 2 * channels


CELLWISE: list[Callable[[Growing], None]] = [pointwise, activation, batch_norm, shuffle, channels_last, half]
"""Blocks that keep every cell to itself."""
BLOCKS = [*CELLWISE, spatial, depthwise, pool, residual, dense, squeeze_excite]


def pooled_head(net: Growing) -> str:
    """Global pool, linear layer: ``[B, CLASSES]``."""
    vector = net.tail.op("Flatten", net.tail.op("GlobalAveragePool", net.x))
    return net.tail.op("Gemm", vector, net.scaled(CLASSES, net.channels), net.bias(CLASSES), transB=1)


def mean_head(net: Growing) -> str:
    vector = net.tail.op("ReduceMean", net.x, axes=[2, 3], keepdims=0)
    return net.tail.op("Add", net.tail.op("MatMul", vector, net.scaled(net.channels, CLASSES)), net.bias(CLASSES))


def max_head(net: Growing) -> str:
    vector = net.tail.op("Flatten", net.tail.op("GlobalMaxPool", net.x))
    return net.tail.op("Gemm", vector, net.scaled(CLASSES, net.channels), net.bias(CLASSES), transB=1)


def flat_head(net: Growing) -> str:
    length = net.channels * net.grid[0] * net.grid[1]
    return net.tail.op("Gemm", net.tail.op("Flatten", net.x), net.scaled(CLASSES, length), net.bias(CLASSES), transB=1)


HEADS = [pooled_head, mean_head, max_head, flat_head]


def grow(tail: Tail, data: DataObject) -> str:
    """Two to six blocks and a head behind the target; the name of the logits ``[B, CLASSES]``."""
    net = _opened(tail, data)
    for block in data.draw(st.lists(st.sampled_from(BLOCKS), min_size=2, max_size=6), "blocks"):
        block(net)
    return data.draw(st.sampled_from(HEADS), "head")(net)


def grow_cellwise(tail: Tail, data: DataObject) -> str:
    """Blocks that keep every cell to itself, an average, a linear layer."""
    net = _opened(tail, data)
    for block in data.draw(st.lists(st.sampled_from(CELLWISE), max_size=4), "blocks"):
        block(net)
    return data.draw(st.sampled_from([pooled_head, mean_head]), "head")(net)


def _opened(tail: Tail, data: DataObject) -> Growing:
    net = Growing(tail, data)
    if tail.layout == "b h w c":
        net.x = tail.op("Transpose", net.x, perm=[0, 3, 1, 2])
    return net
