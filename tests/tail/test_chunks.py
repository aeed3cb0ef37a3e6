"""Masks in chunks, carried one after the other: the same maps as all at once, and as running every masked copy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bare_tail import TARGET, Tail
from carried import assert_same, naive, session, start_masked
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_network import grow
from test_laws import MASKS, assert_exact, drawn

from onnx_reciprocam.graph import Model, probe
from onnx_reciprocam.tail import Walk, all_classes
from onnx_reciprocam.tail.chunks import ChunkedBranch, chunks

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

SOME = examples(4)


def in_chunks(tail: Tail, output: str, mask: str, size: int) -> onnx.ModelProto:
    """The tail's file with a last output ``[B, classes, N]``, at most ``size`` masks at a time."""
    model = Model(tail.model([output]), "the tail", None, "")
    shapes, target = probe(model, tail.grid), model.tensors[TARGET]
    branch = ChunkedBranch(model, target)
    found = []
    for masks in chunks(math.prod(tail.grid), size):
        walk = Walk(model, shapes, branch, target, grid=tail.grid, copies=len(masks), masks=masks)
        walk.start(start_masked(tail, mask)(walk))
        found.append(all_classes(walk, model.tensors[output]))
    return model.appended(branch.export([], [branch.concat(found, 2)]), {})


def scores(tail: Tail, model: onnx.ModelProto) -> NDArray[np.float32]:
    """``[N, B, classes]``."""
    values = session(model).run([model.graph.output[-1].name], {"image": tail.features, **tail.side})[0]
    return np.moveaxis(values, 2, 0)


def check(mask: str, data: st.DataObject) -> None:
    tail = drawn(data)
    logits = grow(tail, data)
    size = data.draw(st.integers(1, math.prod(tail.grid)), "masks at a time")
    got = scores(tail, in_chunks(tail, logits, mask, size))
    assert_exact(got, naive(tail, [logits], mask)[0])


@pytest.mark.parametrize("mask", MASKS)
@given(data=st.data())
@SOME
def test_a_random_network_in_chunks_equals_its_masked_copies(mask: str, data: st.DataObject) -> None:
    check(mask, data)


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
@given(data=st.data())
@settings(max_examples=80)
def test_many_random_networks_in_chunks_equal_their_masked_copies(mask: str, data: st.DataObject) -> None:
    check(mask, data)


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "GlobalMaxPool", "Flatten"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_stride_passes_whole_chunks_over(mask: str, pool: str, kernel: int) -> None:
    """Of every four cells, a 1x1 convolution with a stride of 2 looks at one; the others change nothing."""
    tail = Tail(13, "b c h w", {"b": 2, "c": 3, "h": 4, "w": 4}, dynamic="b")
    pads = [kernel // 2] * 4
    x = tail.op("Conv", tail.x, tail.normal(5, 3, kernel, kernel), tail.normal(5), strides=[2, 2], pads=pads)
    x = tail.op("MaxPool", tail.op("Relu", x), kernel_shape=[1, 1], strides=[2, 2])
    output = tail.op("Flatten", tail.op(pool, x))
    (wanted,) = naive(tail, [output], mask)
    for size in (1, 3, 16):
        assert_same([scores(tail, in_chunks(tail, output, mask, size))], [wanted])


def test_what_chunks_share_is_emitted_once() -> None:
    """The layer in front of the first window, and the kernel's weights in the order that windows want."""
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 3, "w": 3})
    x = tail.op("Conv", tail.x, tail.normal(16, 4, 1, 1), name="pointwise")
    x = tail.op("Conv", tail.op("Relu", x), tail.normal(8, 16, 3, 3), pads=[1] * 4)
    output = tail.op("Flatten", tail.op("GlobalAveragePool", x))
    model = in_chunks(tail, output, "pixel", 1)
    nodes = [node for node in model.graph.node if node.name.startswith("reciprocam")]
    assert sum(node.op_type == "Conv" for node in nodes) == 1
    readers = [node.op_type for node in nodes if any(name.startswith("weight") for name in node.input)]
    assert sorted(readers) == ["Conv", "Reshape"]
    assert sum(node.op_type == "MatMul" for node in nodes) == 9


@given(masks=st.integers(1, 300), size=st.integers(1, 300))
def test_chunks_are_few_and_alike(masks: int, size: int) -> None:
    cut = chunks(masks, size)
    assert [mask for some in cut for mask in some] == list(range(masks))
    lengths = {len(some) for some in cut}
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(cut) == math.ceil(masks / size)
