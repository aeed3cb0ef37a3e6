"""Late class choice on maps: layers that score every cell before they are pooled, and classes along any axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bare_tail import TESTED, Tail
from carried import assert_same
from elementwise_cases import real
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from picked import CLASSES, WEIGHT, chosen, drawn, picked, pooled, weights

if TYPE_CHECKING:
    from picked import Head

SOME = examples(3)
OPSETS = (9, 11, 13, 18, 23)


def score_cells(tail: Tail, x: str, data: st.DataObject) -> str:
    """A 1x1 convolution to classes, with a bias or without."""
    bias = [tail.normal(CLASSES)] if data.draw(st.booleans(), "bias") else []
    return tail.tested("Conv", x, weights(tail, CLASSES, tail.channels, 1, 1), *bias)


def averaged(tail: Tail, x: str, data: st.DataObject, axes: tuple[int, int] = (2, 3)) -> str:
    """One value per class out of a map of cells, in every spelling there is; axes of length 1 may stay."""
    kinds = ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"]
    pools = ["GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool"] if axes == (2, 3) else []
    fixed = not set("hw") & set(tail.dynamic)
    kind = data.draw(st.sampled_from(kinds + (pools if fixed else pools[:2])), "pool")
    attrs: dict[str, Any] = {"kernel_shape": tail.grid} if kind in {"AveragePool", "MaxPool"} else {}
    if kind not in kinds:
        return tail.op(kind, x, **attrs)
    keepdims = data.draw(st.integers(0, 1), "keepdims")
    if tail.opset >= (13 if kind == "ReduceSum" else 18):
        return tail.op(kind, x, np.array(axes), keepdims=keepdims)
    return tail.op(kind, x, axes=list(axes), keepdims=keepdims)


def activated(tail: Tail, x: str, data: st.DataObject) -> str:
    kind = data.draw(st.sampled_from(["Relu", "Sigmoid", "", "scaled", "PRelu", "SiLU"]), "activation")
    if kind == "PRelu":
        return tail.op(kind, x, tail.normal(CLASSES, 1, 1))
    if kind == "scaled":
        return tail.op("Add", tail.op("Mul", x, tail.normal(1, CLASSES, 1, 1)), 0.5)
    if kind == "SiLU":
        return tail.op("Mul", x, tail.op("Sigmoid", x))
    return tail.op(kind, x) if kind else x


def squeezenet(tail: Tail, data: st.DataObject) -> str:
    """Conv, Relu and other activations, pool, Flatten."""
    return tail.op("Flatten", averaged(tail, activated(tail, score_cells(tail, real(tail), data), data), data))


def flattened_cells(tail: Tail, data: st.DataObject) -> str:
    """Cells along one axis, before and after the scores."""
    x = tail.op("Reshape", real(tail), np.array([0, 0, -1, 1]))
    y = tail.op("Reshape", score_cells(tail, x, data), np.array([0, CLASSES, -1]))
    return tail.op("ReduceMax", y, np.array([2]), keepdims=0) if tail.opset >= 18 else tail.op("ReduceMax", y, axes=[2])


def kept_spatial(tail: Tail, data: st.DataObject) -> str:
    """Scores as ``[B, classes, 1, 1]``."""
    return activated(tail, score_cells(tail, tail.op("GlobalAveragePool", real(tail)), data), data)


def strided(tail: Tail, _data: st.DataObject) -> str:
    """A stride over a single place moves nothing."""
    x = tail.op("GlobalMaxPool", tail.op("Abs", real(tail)))
    return tail.tested("Conv", x, weights(tail, CLASSES, tail.channels, 1, 1), strides=[2, 2], auto_pad="SAME_UPPER")


def hidden_layer(tail: Tail, data: st.DataObject) -> str:
    """As timm writes MobileNetV3: pool, a layer, an activation, and the classifier as another 1x1 convolution."""
    x = tail.op("GlobalAveragePool", real(tail))
    x = tail.op("Tanh", tail.op("Conv", x, tail.normal(tail.channels, tail.channels, 1, 1)))
    return tail.op("Flatten", score_cells(tail, x, data))


def channels_last(tail: Tail, data: st.DataObject) -> str:
    """Transposed for a layer over the last axis, as tf2onnx writes Keras."""
    x = tail.op("Transpose", real(tail), perm=[0, 2, 3, 1])
    y = tail.op("Add", tail.tested("MatMul", x, weights(tail, tail.channels, CLASSES)), tail.normal(CLASSES))
    if data.draw(st.booleans(), "pooled there"):
        return averaged(tail, tail.op("Relu", y), data, (1, 2))
    return averaged(tail, tail.op("Transpose", y, perm=[0, 3, 1, 2]), data)


def three_axes(tail: Tail, _data: st.DataObject) -> str:
    """A token of its own for the classes: ``[B, 1, C]``."""
    x = tail.op("Reshape", pooled(tail), np.array([0, 1, -1]))
    y = tail.op("Add", tail.tested("MatMul", x, weights(tail, tail.channels, CLASSES)), tail.normal(1, 1, CLASSES))
    return tail.op("Reshape", y, np.array([-1, CLASSES]))


def one_pixel(tail: Tail, _data: st.DataObject) -> str:
    """Scores as ``[B, 1, 1, classes]``."""
    x = tail.op("Transpose", tail.op("GlobalAveragePool", real(tail)), perm=[0, 2, 3, 1])
    return tail.op("Add", tail.tested("MatMul", x, weights(tail, tail.channels, CLASSES)), tail.normal(CLASSES))


HEADS: dict[str, Head] = {
    "SqueezeNet": squeezenet,
    "flattened cells": flattened_cells,
    "kept spatial": kept_spatial,
    "strided": strided,
    "hidden layer": hidden_layer,
    "channels last": channels_last,
    "three axes": three_axes,
    "one pixel": one_pixel,
}


def check(head: Head, data: st.DataObject, **how: Any) -> None:
    mask = data.draw(st.sampled_from(["pixel", "gaussian"]), "mask")
    tail, ids = drawn(data, opsets=OPSETS, **how)
    scores = head(tail, data)
    got = picked(tail, scores, ids, mask)
    assert_same([got.values], [chosen(tail, scores, ids, mask)])
    if any(note.term == "chosen rows" for note in got.notes):
        assert got.readers(WEIGHT) == ["Gather"]


@pytest.mark.parametrize("head", HEADS)
@given(data=st.data())
@SOME
def test_rows_of_a_layer_on_a_map_are_enough(head: str, data: st.DataObject) -> None:
    check(HEADS[head], data)


@pytest.mark.parametrize("head", ["SqueezeNet", "kept spatial", "channels last", "three axes"])
@given(data=st.data())
@SOME
def test_a_grid_known_at_run_time(head: str, data: st.DataObject) -> None:
    check(HEADS[head], data, dynamic="bhw")


@given(data=st.data())
@SOME
def test_a_map_that_lies_channels_last_itself(data: st.DataObject) -> None:
    def head(tail: Tail, data: st.DataObject) -> str:
        y = tail.tested("MatMul", real(tail), weights(tail, tail.channels, CLASSES))
        return averaged(tail, tail.op("Relu", y), data, (1, 2))

    check(head, data, layout="b h w c")


@given(data=st.data())
@SOME
def test_classes_of_the_target_itself(data: st.DataObject) -> None:
    """The last feature map has a channel per class: no layer is left, and one class of the map is read."""
    tail, ids = drawn(data, opsets=OPSETS)
    tail = Tail(tail.opset, tail.layout, {**tail.sizes, "c": CLASSES}, dynamic=tail.dynamic)
    scores = tail.op("Flatten", averaged(tail, activated(tail, tail.x, data), data))
    assert_same([picked(tail, scores, ids).values], [chosen(tail, scores, ids)])


@pytest.mark.parametrize(
    ("mask", "pool", "activation"),
    [
        ("pixel", "GlobalAveragePool", "Relu"),
        ("pixel", "GlobalMaxPool", "Tanh"),
        ("gaussian", "GlobalAveragePool", "Relu"),
        ("gaussian", "GlobalAveragePool", "Identity"),
    ],
)
def test_no_cell_is_scored_for_all_classes(mask: str, pool: str, activation: str) -> None:
    """A map of six cells: one row for each live cell and for the resting ones; neighbours live too under a Gaussian mask."""
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 2, "w": 3})
    layer = tail.tested("Conv", tail.op("Cos", tail.x), weights(tail, CLASSES, 4, 1, 1))
    scores = tail.op("Flatten", tail.op(pool, tail.op(activation, layer)))
    got = picked(tail, scores, np.zeros((1, 1), np.int64), mask)
    live = {"pixel": 6, "gaussian": 4 + 6 + 4 + 4 + 6 + 4}[mask]
    assert {note.node: note.multiply_adds for note in got.notes}[TESTED] == 4 * (live + 1)
    assert got.readers(WEIGHT) == ["Gather"]
    assert "Conv" not in {node.op for node in got.nodes}


@given(data=st.data())
@SOME
def test_a_map_that_is_pooled_in_part_or_normalised_is_carried_whole(data: st.DataObject) -> None:
    tail, ids = drawn(data, opsets=(9, 11, 13))
    y = score_cells(tail, real(tail), data)
    over = data.draw(st.sampled_from(["Softmax", "columns", "turned", "a bias per cell"]), "what stands between")
    if over == "Softmax":
        y = tail.op("Softmax", y, axis=1)
    elif over == "columns":
        y = tail.op("ReduceMax", y, axes=[3], keepdims=1)
    elif over == "turned":
        y = tail.op("Transpose", y, perm=[0, 1, 3, 2])
    else:
        y = tail.op("Add", y, tail.normal(*tail.grid))
    scores = tail.op("ReduceMean", y, axes=[2, 3], keepdims=0)
    assert_same([picked(tail, scores, ids).values], [chosen(tail, scores, ids)])
