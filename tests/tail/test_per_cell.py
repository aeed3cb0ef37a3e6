"""Operators without a rule run once per mask, and are right all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bare_tail import Tail
from carried import assert_same, carry, naive, start_masked, start_stacked
from elementwise_cases import real
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[[Tail], list[str]]

LOCAL = "models.local"


def cumulated(axis: int) -> Build:
    def build(tail: Tail) -> list[str]:
        return [tail.tested("CumSum", real(tail), np.array(axis), reverse=1)]

    return build


def dynamically_quantized(tail: Tail) -> list[str]:
    """Its scale comes from all images of a batch together."""
    return tail.all_of_tested("DynamicQuantizeLinear", real(tail), outputs=3)


def summed(tail: Tail) -> list[str]:
    return [tail.tested("Einsum", real(tail), tail.x, equation="bchw,bdhw->bcd")]


def standardized(tail: Tail) -> list[str]:
    return [tail.tested("MeanVarianceNormalization", real(tail), axes=[0, 2, 3])]


def local_function(tail: Tail) -> list[str]:
    """``x * a + sum(x)``, the file's own operator, in an opset of its own: it cannot be inlined."""
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["scaled"]),
        helper.make_node("ReduceMax", ["x"], ["largest"]),
        helper.make_node("Add", ["scaled", "largest"], ["y"]),
    ]
    opsets = [helper.make_opsetid("", tail.opset - 1)]
    tail.functions.append(helper.make_function(LOCAL, "ScaleAndShift", ["x", "a"], ["y"], nodes, opsets))
    return [tail.tested("ScaleAndShift", real(tail), tail.per_channel(tail.normal(tail.channels)), domain=LOCAL)]


def trained_batch(tail: Tail) -> list[str]:
    """Statistics of the batch at hand, as if still in training."""
    c = tail.channels
    vectors = [tail.normal(c), tail.normal(c), tail.normal(c), np.abs(tail.normal(c))]
    return tail.all_of_tested("BatchNormalization", real(tail), *vectors, outputs=3, training_mode=1)


CASES: dict[str, tuple[int, Build, str]] = {
    "CumSum over channels": (11, cumulated(1), "no rule for CumSum"),
    "CumSum over cells": (14, cumulated(-1), "no rule for CumSum"),
    "CumSum over images": (18, cumulated(0), "no rule for CumSum"),
    "DynamicQuantizeLinear": (11, dynamically_quantized, "no rule for DynamicQuantizeLinear"),
    "Einsum": (12, summed, "no rule for Einsum"),
    "MeanVarianceNormalization": (13, standardized, "no rule for MeanVarianceNormalization"),
    "a local function": (17, local_function, f"no rule for {LOCAL}:ScaleAndShift"),
    "a batch in training": (15, trained_batch, "it normalises with the statistics of the batch"),
}
BATCHES: list[tuple[int, str]] = [(1, ""), (3, ""), (3, "b")]


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_the_loop_equals_running_every_masked_copy(name: str, data: st.DataObject) -> None:
    opset, build, reason = CASES[name]
    batch, dynamic = data.draw(st.sampled_from(BATCHES), "batch")
    sizes = {"b": batch, "c": data.draw(st.integers(1, 3)), "h": data.draw(st.integers(1, 3)), "w": 2}
    tail = Tail(opset, "b c h w", sizes, dynamic=dynamic, seed=data.draw(st.integers(0, 99)))
    outputs = build(tail)
    wanted = naive(tail, outputs)
    place = data.draw(st.sampled_from([None, 0, 2, 4]), "mask axis")
    for start in (start_masked(tail), start_stacked(tail, place)):
        carried = carry(tail, outputs, start)
        assert carried.kind == ("per cell", reason)
        assert_same(carried.run(), wanted)


def test_the_loop_goes_on_in_the_walk() -> None:
    """A loop's result is one copy per mask again, for cheaper rules to take up."""
    tail = Tail(13, "b c h w", {"b": 3, "c": 4, "h": 2, "w": 3}, dynamic="b")
    flat = tail.op("Flatten", tail.op("GlobalAveragePool", cumulated(3)(tail)[0]))
    outputs = [tail.op("Gemm", flat, tail.normal(5, 4), transB=1)]
    carried = carry(tail, outputs, start_masked(tail))
    assert [note.term for note in carried.walk.notes] == ["Spot", "per cell", "Stacked", "Stacked", "Stacked"]
    assert_same(carried.run(), naive(tail, outputs))
