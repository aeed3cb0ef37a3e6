"""Late class choice through several linear layers: one after the other, side by side, averaged."""

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
from picked import CLASSES, HIDDEN, WEIGHT, chosen, drawn, picked, pooled, weights

if TYPE_CHECKING:
    from picked import Head

SOME = examples(5)
WIDTH = 3
"""Channels between two layers."""


def affine(tail: Tail, x: str, data: st.DataObject) -> str:
    """What may stand between two layers: a value per channel added or multiplied, on either side."""
    for kind in data.draw(st.lists(st.sampled_from(["Add", "Mul"]), max_size=2), "between"):
        number = kind == "Mul" and data.draw(st.booleans(), "one number")
        operand = np.float32(0.5) if number else tail.normal(WIDTH)
        x = tail.op(kind, *data.draw(st.permutations([x, tail.weight(np.asarray(operand))]), "order"))
    return tail.op("Identity", x)


def dense(tail: Tail, x: str, data: st.DataObject, size: tuple[int, int], name: str) -> str:
    """Gemm or MatMul from so many channels to so many, with its weights either way round."""
    kind = data.draw(st.sampled_from(["Gemm", "Gemm turned", "MatMul"]), "layer")
    if kind == "MatMul":
        return tail.op("MatMul", x, weights(tail, *size, name=name))
    turned = kind == "Gemm turned"
    shape = size[::-1] if turned else size
    scale: dict[str, Any] = {"alpha": 0.5, "beta": -2.0} if data.draw(st.booleans(), "scaled") else {}
    return tail.op("Gemm", x, weights(tail, *shape, name=name), tail.normal(size[1]), transB=int(turned), **scale)


def two_layers(tail: Tail, data: st.DataObject) -> str:
    x = dense(tail, pooled(tail), data, (tail.channels, WIDTH), HIDDEN)
    return dense(tail, affine(tail, x, data), data, (WIDTH, CLASSES), WEIGHT)


def embedded_cells(tail: Tail, data: st.DataObject) -> str:
    """A layer in each cell, their mean, and a layer of that."""
    bias = [tail.normal(WIDTH)] if data.draw(st.booleans(), "bias") else []
    x = tail.op("Conv", real(tail), weights(tail, WIDTH, tail.channels, 1, 1, name=HIDDEN), *bias)
    if data.draw(st.booleans(), "scaled"):
        x = tail.op("Mul", x, tail.normal(WIDTH, 1, 1))
    x = tail.op("Flatten", tail.op("GlobalAveragePool", x))
    return dense(tail, affine(tail, x, data), data, (WIDTH, CLASSES), WEIGHT)


def two_convolutions(tail: Tail, data: st.DataObject) -> str:
    x = tail.op("Conv", real(tail), weights(tail, WIDTH, tail.channels, 1, 1, name=HIDDEN))
    y = tail.op("Conv", x, weights(tail, CLASSES, WIDTH, 1, 1), tail.normal(CLASSES))
    y = tail.op("Relu", y) if data.draw(st.booleans(), "activation") else y
    return tail.op("Flatten", tail.op("GlobalAveragePool", y))


CHAINS: dict[str, Head] = {
    "two layers": two_layers,
    "embedded cells": embedded_cells,
    "two convolutions": two_convolutions,
}
"""Heads with a hidden layer that is never worked out."""


def distilled(tail: Tail, data: st.DataObject) -> str:
    """The mean of two heads, each of its own features."""
    first = dense(tail, pooled(tail), data, (tail.channels, CLASSES), WEIGHT)
    second = dense(tail, tail.op("Tanh", pooled(tail)), data, (tail.channels, CLASSES), HIDDEN)
    kind = data.draw(st.sampled_from(["Mean", "Mul", "Div"]), "averaged")
    if kind == "Mean":
        return tail.op("Mean", first, second)
    return tail.op(kind, tail.op("Add", first, second), 0.5 if kind == "Mul" else 2.0)


def summed(tail: Tail, data: st.DataObject) -> str:
    """A vector's head, a map's, and what a Softmax makes of a third."""
    first = dense(tail, pooled(tail), data, (tail.channels, CLASSES), WEIGHT)
    cells = tail.op("Conv", real(tail), weights(tail, CLASSES, tail.channels, 1, 1, name=HIDDEN))
    second = tail.op("Flatten", tail.op("GlobalMaxPool", cells))
    third = tail.op("Softmax", dense(tail, pooled(tail), data, (tail.channels, CLASSES), "third"), axis=1)
    return tail.op("Sum", first, second, third)


def two_maps(tail: Tail, data: st.DataObject) -> str:
    """Two layers' maps added before they are pooled; one of them may come from a 3x3 neighbourhood."""
    side = data.draw(st.sampled_from([1, 3]), "kernel")
    other = tail.op("Conv", real(tail), tail.normal(WIDTH, tail.channels, side, side), pads=[side // 2] * 4)
    first = tail.op("Conv", real(tail), weights(tail, CLASSES, tail.channels, 1, 1))
    second = tail.op("Conv", tail.op("Relu", other), weights(tail, CLASSES, WIDTH, 1, 1, name=HIDDEN))
    return tail.op("Flatten", tail.op("GlobalAveragePool", tail.op("Add", first, second)))


def shared_scores(tail: Tail, data: st.DataObject) -> str:
    """Scores that several operators read."""
    y = dense(tail, pooled(tail), data, (tail.channels, CLASSES), WEIGHT)
    for _ in range(2):
        y = tail.op("Mul", y, tail.op("Sigmoid", y))
    return y


SUMS: dict[str, Head] = {
    "distilled": distilled,
    "summed": summed,
    "two maps": two_maps,
    "shared scores": shared_scores,
}
"""Heads of which several masked tensors meet class by class."""


@pytest.mark.parametrize("head", CHAINS)
@given(data=st.data())
@SOME
def test_two_linear_layers_are_one(head: str, data: st.DataObject) -> None:
    tail, ids = drawn(data)
    scores = CHAINS[head](tail, data)
    got = picked(tail, scores, ids)
    assert_same([got.values], [chosen(tail, scores, ids)])
    assert got.readers(WEIGHT) == ["Gather"]
    assert not {"Conv", "Gemm"} & {node.op for node in got.nodes}


@pytest.mark.parametrize("head", SUMS)
@given(data=st.data())
@SOME
def test_masked_tensors_that_meet(head: str, data: st.DataObject) -> None:
    mask = data.draw(st.sampled_from(["pixel", "gaussian"]), "mask")
    tail, ids = drawn(data)
    scores = SUMS[head](tail, data)
    assert_same([picked(tail, scores, ids, mask).values], [chosen(tail, scores, ids, mask)])


def test_averaged_heads_read_rows_of_both() -> None:
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 2, "w": 3})
    heads = [
        tail.op("MatMul", tail.op(kind, pooled(tail)), weights(tail, 4, CLASSES, name=name))
        for kind, name in (("Sin", WEIGHT), ("Cos", HIDDEN))
    ]
    got = picked(tail, tail.op("Div", tail.op("Add", *heads), 2.0), np.zeros((1, 1), np.int64))
    assert got.readers(WEIGHT) == got.readers(HIDDEN) == ["Gather"]
    assert [note.multiply_adds for note in got.notes if note.term == "chosen rows"] == [4 * 6, 4 * 6]


def test_joining_two_layers_is_noted_with_its_cost() -> None:
    """The row of the second times the first, then one row for the features under six masks."""
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 2, "w": 3})
    hidden = tail.tested("MatMul", tail.op("Sin", pooled(tail)), weights(tail, 4, WIDTH, name=HIDDEN))
    scores = tail.op("Gemm", hidden, weights(tail, CLASSES, WIDTH), tail.normal(CLASSES), transB=1, name="last")
    got = picked(tail, scores, np.zeros((1, 1), np.int64))
    costs = {note.node: note.multiply_adds for note in got.notes if note.term == "chosen rows"}
    assert costs == {"last": 0, TESTED: 4 * WIDTH + 4 * 6}
