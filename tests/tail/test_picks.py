"""Late class choice equals computing every class and choosing afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from numpy.typing import NDArray
    from picked import Head

SOME = examples(5)


def gemm(tail: Tail, data: st.DataObject) -> str:
    flip = data.draw(st.integers(0, 1), "transB")
    shape = (CLASSES, tail.channels) if flip else (tail.channels, CLASSES)
    bias = data.draw(st.sampled_from([(CLASSES,), (1, CLASSES), (1,), (1, 1), None]), "bias")
    operands = [] if bias is None and tail.opset >= 11 else [tail.normal(*(bias or (1,)))]
    scale = {"alpha": 0.5, "beta": -2.0} if data.draw(st.booleans(), "scaled") else {}
    return tail.tested("Gemm", pooled(tail), weights(tail, *shape), *operands, transB=flip, **scale)


def matmul(tail: Tail) -> str:
    return tail.tested("MatMul", pooled(tail), weights(tail, tail.channels, CLASSES))


def per_class(tail: Tail, data: st.DataObject) -> NDArray[np.float32]:
    """An operand that is a number, or one number per class."""
    shape = data.draw(st.sampled_from([(CLASSES,), (1, CLASSES), (1,), (1, 1), ()]), "operand")
    return np.asarray(np.abs(tail.normal(*shape)) + np.float32(0.5), np.float32)


def matmul_and_arithmetic(tail: Tail, data: st.DataObject) -> str:
    """Each operator with its operand on either side."""
    y = matmul(tail)
    for kind in data.draw(st.lists(st.sampled_from(["Add", "Sub", "Mul", "Div", "Max"]), max_size=3), "arithmetic"):
        operands = [y, tail.weight(per_class(tail, data))]
        y = tail.op(kind, *data.draw(st.permutations(operands), "order"))
    return y


def activated(tail: Tail, data: st.DataObject) -> str:
    y = tail.op("Add", matmul(tail), tail.normal(CLASSES))
    kind = data.draw(st.sampled_from(["Sigmoid", "Tanh", "LeakyRelu", "Clip", "PRelu"]), "activation")
    if kind == "Clip":
        return tail.op("Clip", y, *((np.float32(-1), "") if tail.opset >= 11 else ()))
    return tail.op(kind, y, *([tail.normal(CLASSES)] if kind == "PRelu" else []))


def regrouped(tail: Tail, data: st.DataObject) -> str:
    """Through everything that only hands the scores on."""
    y = tail.op("Identity", gemm(tail, data))
    y = tail.op("Reshape", y, np.array([-1, CLASSES, 1, 1]))
    y = tail.op("Dropout", tail.op("Mul", y, np.full((1, 1, 1, 1), 0.5)))
    return tail.op("Flatten", y)


ROWS: dict[str, Head] = {
    "Gemm": gemm,
    "MatMul and arithmetic": matmul_and_arithmetic,
    "activation": activated,
    "regrouped": regrouped,
}
"""Heads whose last linear layer is read by rows."""


def normalised(tail: Tail, data: st.DataObject) -> str:
    return tail.op("Softmax", gemm(tail, data), axis=1)


def image_bias(tail: Tail, _data: st.DataObject) -> str:
    return tail.op("Add", matmul(tail), tail.input(tail.normal(tail.sizes["b"], CLASSES)))


def flattened(tail: Tail, _data: st.DataObject) -> str:
    """A map whose cells are inputs of the last layer."""
    size = int(np.prod(tail.shape[1:]))
    return tail.op("MatMul", tail.op("Flatten", real(tail)), weights(tail, size, CLASSES))


WHOLE: dict[str, Head] = {
    "Softmax": normalised,
    "a bias per image": image_bias,
    "flattened": flattened,
}
"""Heads that need every class."""


@pytest.mark.parametrize("head", ROWS)
@given(data=st.data())
@SOME
def test_rows_of_the_last_layer_are_enough(head: str, data: st.DataObject) -> None:
    tail, ids = drawn(data)
    scores = ROWS[head](tail, data)
    got = picked(tail, scores, ids)
    assert_same([got.values], [chosen(tail, scores, ids)])
    assert got.readers(WEIGHT) == ["Gather"]
    assert "Gemm" not in {node.op for node in got.nodes}


@pytest.mark.parametrize("head", WHOLE)
@given(data=st.data())
@SOME
def test_other_heads_choose_from_all_scores(head: str, data: st.DataObject) -> None:
    tail, ids = drawn(data)
    scores = WHOLE[head](tail, data)
    assert_same([picked(tail, scores, ids).values], [chosen(tail, scores, ids)])


@pytest.mark.parametrize("opset", [9, 11, 18])
@pytest.mark.parametrize("head", [*ROWS, *WHOLE])
@given(data=st.data())
def test_ids_that_no_class_has_fail(head: str, opset: int, data: st.DataObject) -> None:
    tail, ids = drawn(data, opsets=[opset])
    scores = (ROWS | WHOLE)[head](tail, data)
    ids[-1, -1] = data.draw(st.sampled_from([CLASSES, -CLASSES - 1]), "outside")
    with pytest.raises(Exception, match=r"out of data bounds|Out of range value in index tensor"):
        picked(tail, scores, ids)


def test_the_rows_that_are_read_are_noted_with_their_cost() -> None:
    """One class of five: one row of the layer, for the live cell's features under six masks and for the resting ones."""
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 2, "w": 3})
    scores = tail.tested("Gemm", pooled(tail), weights(tail, CLASSES, 4), transB=1)
    got = picked(tail, scores, np.zeros((1, 1), np.int64))
    note = next(note for note in got.notes if note.node == TESTED)
    assert (note.term, note.multiply_adds) == ("chosen rows", 4 * (6 + 1))
