"""Late class choice equals computing every class and choosing afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from bare_tail import TESTED, Tail
from carried import assert_same, naive, open_tail, session, start_masked
from elementwise_cases import real
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from onnx_reciprocam.tail import pick

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Head = Callable[[Tail, st.DataObject], str]

CLASSES = 5
WEIGHT = "class_weights"
SOME = examples(5)


def pooled(tail: Tail) -> str:
    """``[B, C]``, masks told apart only by then."""
    return tail.op("Flatten", tail.op("GlobalAveragePool", tail.op("Relu", real(tail))))


def weights(tail: Tail, *shape: int) -> str:
    return tail.weight(tail.normal(*shape), WEIGHT)


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


def squeezenet(tail: Tail, _data: st.DataObject) -> str:
    scores = tail.op("Relu", tail.op("Conv", real(tail), weights(tail, CLASSES, tail.channels, 1, 1)))
    return tail.op("Flatten", tail.op("GlobalAveragePool", scores))


def kept_spatial(tail: Tail, _data: st.DataObject) -> str:
    """Scores as ``[B, classes, 1, 1]``."""
    return tail.op("Conv", tail.op("GlobalAveragePool", real(tail)), weights(tail, CLASSES, tail.channels, 1, 1))


def normalised(tail: Tail, data: st.DataObject) -> str:
    return tail.op("Softmax", gemm(tail, data), axis=1)


def two_heads(tail: Tail, data: st.DataObject) -> str:
    """Scores that two masked layers add to."""
    return tail.op("Add", gemm(tail, data), tail.op("MatMul", pooled(tail), tail.normal(tail.channels, CLASSES)))


def image_bias(tail: Tail, _data: st.DataObject) -> str:
    return tail.op("Add", matmul(tail), tail.input(tail.normal(tail.sizes["b"], CLASSES)))


def classes_moved(tail: Tail, _data: st.DataObject) -> str:
    """A reshape that lays the classes out anew."""
    pairs = tail.op("Reshape", pooled(tail), np.array([0, 1, -1]))
    scores = tail.op("MatMul", pairs, weights(tail, tail.channels, CLASSES))
    return tail.op("Reshape", scores, np.array([-1, CLASSES]))


WHOLE: dict[str, Head] = {
    "SqueezeNet": squeezenet,
    "kept spatial": kept_spatial,
    "Softmax": normalised,
    "two heads": two_heads,
    "a bias per image": image_bias,
    "three axes": classes_moved,
}
"""Heads that need every class."""


def picked(tail: Tail, scores: str, ids: NDArray[np.int64]) -> tuple[NDArray[Any], list[gs.Node]]:
    """``[B, K, N]`` as the walk picks them, and the nodes that it takes."""
    walk = open_tail(tail, [scores])
    walk.start(start_masked(tail)(walk))
    wanted = walk.branch.input(gs.Variable("ids", np.int64, ["batch", "K"]))
    value = walk.branch.op("Identity", pick(walk, walk.model.tensors[scores], wanted))
    model = walk.model.appended(walk.branch.export([wanted], [value]), {})
    feeds = {"image": tail.features, "ids": ids, **tail.side}
    return session(model).run([value.name], feeds)[0], walk.branch.nodes


def chosen(tail: Tail, scores: str, ids: NDArray[np.int64]) -> NDArray[Any]:
    """The same, of all scores under every masked copy."""
    every = naive(tail, [scores])[0]
    every = every.reshape(len(every), tail.sizes["b"], CLASSES)
    return np.moveaxis(np.take_along_axis(every, ids[None], axis=2), 0, -1)


def drawn(data: st.DataObject, *, opsets: tuple[int, ...] = (9, 11, 13, 18)) -> tuple[Tail, NDArray[np.int64]]:
    """A tail of a few images, and different classes for each of them, some of them twice."""
    batch, dynamic = data.draw(st.sampled_from([(1, ""), (3, ""), (3, "b")]), "batch")
    sizes = {"b": batch, "c": data.draw(st.integers(1, 4)), "h": data.draw(st.integers(1, 3)), "w": 2}
    tail = Tail(
        data.draw(st.sampled_from(opsets)), "b c h w", sizes, dynamic=dynamic, seed=data.draw(st.integers(0, 99))
    )
    ids = tail.random.integers(0, CLASSES, (batch, data.draw(st.integers(1, 4), "K")))
    return tail, ids.astype(np.int64)


@pytest.mark.parametrize("head", ROWS)
@given(data=st.data())
@SOME
def test_rows_of_the_last_layer_are_enough(head: str, data: st.DataObject) -> None:
    tail, ids = drawn(data)
    scores = ROWS[head](tail, data)
    got, nodes = picked(tail, scores, ids)
    assert_same([got], [chosen(tail, scores, ids)])
    assert [node.op for node in nodes if any(tensor.name == WEIGHT for tensor in node.inputs)] == ["Gather"]
    assert "Gemm" not in {node.op for node in nodes}


@pytest.mark.parametrize("head", WHOLE)
@given(data=st.data())
@SOME
def test_other_heads_choose_from_all_scores(head: str, data: st.DataObject) -> None:
    tail, ids = drawn(data)
    scores = WHOLE[head](tail, data)
    got, _ = picked(tail, scores, ids)
    assert_same([got], [chosen(tail, scores, ids)])


def test_the_rows_that_are_read_are_noted_with_their_cost() -> None:
    """One class of five: a fifth of the layer's multiply-adds, once per mask."""
    tail = Tail(13, "b c h w", {"b": 1, "c": 4, "h": 2, "w": 3})
    scores = tail.tested("Gemm", pooled(tail), weights(tail, CLASSES, 4), transB=1)
    walk = open_tail(tail, [scores])
    walk.start(start_masked(tail)(walk))
    pick(walk, walk.model.tensors[scores], gs.Variable("ids", np.int64, [1, 1]))
    note = next(note for note in walk.notes if note.node == TESTED)
    assert (note.term, note.multiply_adds) == ("chosen rows", 4 * 6)
