"""Forms that onnx-ad has no gradient for, or a wrong one, and that are put into other words: finite differences tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper
from rewritten import assert_same, run
from slow_maps import Slow, SlowMaps
from tiny_tails import TARGET, Net

import onnx_reciprocam as rc
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from collections.abc import Callable

    Grow = Callable[[Net], None]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def conv(net: Net, **attrs: object) -> None:
    net.pooled(
        net.op("Relu", net.op("Conv", TARGET, net.normal(5, net.channels, 3, 3, scale=0.3), **attrs)), features=5
    )


def pool(net: Net, kind: str, kernel: int = 2, **attrs: object) -> None:
    x = net.op(kind, net.op("Tanh", TARGET), kernel_shape=[kernel, kernel], **attrs)
    net.pooled(net.op("Relu", net.conv(x, net.channels, 1)))


def sliced(net: Net, start: int, end: int, axis: int, step: int) -> None:
    """Along height and an axis of choice."""
    x = net.op("Slice", TARGET, ints(0, start), ints(99, end), ints(2, axis), ints(2, step))
    net.pooled(net.op("Relu", net.conv(x, net.channels, 1)))


def token(net: Net) -> None:
    """One column, as a class token is picked."""
    x = net.op("Gather", net.op("Relu", net.conv(TARGET, net.channels, 3)), ints(-1)[0], axis=3)
    net.linear(net.op("ReduceMean", x, axes=[2], keepdims=0), net.channels)


FORMS: dict[str, Grow] = {
    "conv, padded behind": lambda net: conv(net, pads=[0, 0, 1, 1]),
    "conv, padded in front": lambda net: conv(net, pads=[2, 1, 0, 0], strides=[1, 2]),
    "conv, steps that leave a rest": lambda net: conv(net, pads=[1, 1, 1, 1], strides=[3, 3]),
    "conv, same upper": lambda net: conv(net, auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv, same lower": lambda net: conv(net, auto_pad="SAME_LOWER", strides=[2, 1]),
    "conv, valid": lambda net: conv(net, auto_pad="VALID"),
    "mean, padded behind": lambda net: pool(net, "AveragePool", pads=[0, 0, 1, 1]),
    "mean, padding counts": lambda net: pool(net, "AveragePool", pads=[0, 0, 1, 1], count_include_pad=1),
    "mean, same lower": lambda net: pool(net, "AveragePool", 3, auto_pad="SAME_LOWER", strides=[2, 2]),
    "mean, hanging over": lambda net: pool(net, "AveragePool", strides=[2, 2], ceil_mode=1),
    "maximum, same upper": lambda net: pool(net, "MaxPool", 3, auto_pad="SAME_UPPER", strides=[2, 2]),
    "maximum, hanging over": lambda net: pool(net, "MaxPool", strides=[2, 2], ceil_mode=1),
    "every other column": lambda net: sliced(net, 1, 99, 3, 2),
    "columns backwards": lambda net: sliced(net, -1, -99, 3, -1),
    "one column": token,
}
OLD = {
    "conv, padded behind": (9, 10, 11, 13),
    "conv, same upper": (9, 11),
    "mean, padded behind": (9, 10, 11, 13),
    "one column": (13, 15),
}


def check(grow: Grow, batch: int | str, opset: int = 17) -> None:
    net = Net(batch, opset=opset)
    grow(net)
    slow = Slow(net.model(), TARGET, "logits")
    images = np.random.default_rng(1).standard_normal((2, 3, 6, 8)).astype(np.float32)
    maps = SlowMaps(slow, images)
    for method in ("gradcam", "layercam"):
        explained = rc.rewrite(slow.model, method=method, target=TARGET, classes="all", normalize="none")
        assert_same(run(explained, images)["saliency"], maps.maps(method))


@pytest.mark.parametrize("batch", ["batch", 2])
@pytest.mark.parametrize("name", FORMS)
def test_maps_are_those_of_finite_differences(name: str, batch: int | str) -> None:
    check(FORMS[name], batch)


@pytest.mark.parametrize(("name", "opset"), [(name, opset) for name, opsets in OLD.items() for opset in opsets])
def test_older_opsets_as_well(name: str, opset: int) -> None:
    check(FORMS[name], "batch", opset)


@pytest.mark.parametrize("method", ["gradcam", "smoothgradcam++"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_loops_are_named(kind: str, method: str) -> None:
    net, gates = Net(), {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    steps = net.op("Transpose", net.op("ReduceMean", TARGET, axes=[2], keepdims=0), perm=[2, 0, 1])
    weights = [net.weight(net.normal(1, gates * 5, read)) for read in (net.channels, 5)]
    net._nodes.append(helper.make_node(kind, [steps, *weights], ["", "last"], "node.loop", hidden_size=5))  # noqa: SLF001
    net.linear(net.op("Squeeze", "last", ints(0)), 5)
    with pytest.raises(GradientError, match=rf"{kind} 'node\.loop' is differentiated step by step in a Scan"):
        rc.rewrite(net.model(), method=method, target=TARGET)


def test_what_hangs_over_beside_padding_that_counts_is_named() -> None:
    net = Net()
    pool(net, "AveragePool", strides=[2, 2], pads=[0, 1, 0, 1], ceil_mode=1, count_include_pad=1)
    with pytest.raises(GradientError, match="ceil_mode=1 is not differentiated"):
        rc.rewrite(net.model(), method="gradcam", target=TARGET)


def test_maxima_need_an_opset_that_adds_what_it_scatters() -> None:
    net = Net(opset=13)
    pool(net, "MaxPool")
    with pytest.raises(GradientError, match="opset 16"):
        rc.rewrite(net.model(), method="gradcam", target=TARGET)
