"""Every rule of the walk against running every masked copy: somebody else's slow way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cell_cases
import elementwise_cases
import pooling_cases
import pytest
import quantised_cases
import shape_cases
from bare_tail import Tail
from carried import assert_same, carry, naive, start_masked, start_stacked
from hypothesis import given
from hypothesis import strategies as st

from onnx_reciprocam.tail import window_cost
from onnx_reciprocam.tail.registry import SPOT, STACKED, WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from carried import Carried
    from case import Case, Outcome
    from hypothesis.strategies import DataObject

MODULES = (elementwise_cases, cell_cases, shape_cases, pooling_cases, quantised_cases)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
BATCHES = {"one": (1, ""), "three": (3, ""), "any": (3, "b")}
VERSIONED = [
    pytest.param(case, opset, id=f"{case}-{opset}")
    for case in CASES
    for opset in (case.known_opsets if case.opsets else (None,))
]


@pytest.fixture(autouse=True, scope="module")
def lists_are_kept() -> Iterator[None]:
    """On maps this small a window soon covers all, and would be multiplied out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_cost, "COVERS", 2.0)
        yield


def draw_tail(case: Case, opset: int | None, data: DataObject) -> Tail:
    """Features to put the case behind: their batch, grid of at least two cells, and channels."""
    batch, dynamic = BATCHES[data.draw(st.sampled_from(case.batch), "batch")]
    sides = st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda grid: grid != (1, 1))
    height, width = data.draw(sides, "grid")
    channels = data.draw(st.sampled_from(case.channels), "channels")
    version = opset or data.draw(st.sampled_from(case.known_opsets), "opset")
    sizes = {"b": batch, "c": channels, "h": height, "w": width}
    return Tail(version, case.layout, sizes, dynamic=dynamic, seed=data.draw(st.integers(0, 99), "seed"))


def built(case: Case, tail: Tail, data: DataObject) -> list[str]:
    outputs = case.build(tail, data)
    return [outputs] if isinstance(outputs, str) else outputs


def assert_outcome(carried: Carried, wanted: Outcome) -> None:
    term, reason = carried.kind
    assert (term, bool(reason)) == (wanted.term, bool(wanted.widened)), reason
    assert re.fullmatch(wanted.widened, reason)


@pytest.mark.parametrize(("case", "opset"), VERSIONED)
@given(data=st.data())
def test_spot_rule_equals_running_every_masked_copy(case: Case, opset: int | None, data: DataObject) -> None:
    tail = draw_tail(case, opset, data)
    outputs = built(case, tail, data)
    carried = carry(tail, outputs, start_masked(tail))
    assert_outcome(carried, case.spot)
    assert_same(carried.run(), naive(tail, outputs))


@pytest.mark.parametrize(("case", "opset"), VERSIONED)
@given(data=st.data())
def test_window_rule_equals_running_every_masked_copy(case: Case, opset: int | None, data: DataObject) -> None:
    """The masks that look at 3x3 cells start as a window."""
    tail = draw_tail(case, opset, data)
    outputs = built(case, tail, data)
    mask = data.draw(st.sampled_from(["gaussian", "replicated"]), "mask")
    carried = carry(tail, outputs, start_masked(tail, mask))
    assert_outcome(carried, case.windowed)
    assert_same(carried.run(), naive(tail, outputs, mask))


@pytest.mark.parametrize(("case", "opset"), VERSIONED)
@given(data=st.data())
def test_stacked_rule_equals_running_every_masked_copy(case: Case, opset: int | None, data: DataObject) -> None:
    tail = draw_tail(case, opset, data)
    outputs = built(case, tail, data)
    place = data.draw(st.sampled_from([None, *range(len(tail.shape) + 1)]), "mask axis")
    carried = carry(tail, outputs, start_stacked(tail, place))
    assert_outcome(carried, case.stacked)
    assert_same(carried.run(), naive(tail, outputs))


def test_every_rule_has_a_case() -> None:
    assert {case.op for case in CASES if case.spot.ruled and case.spot.term != "Window"} == set(SPOT)
    behind_copies = {"com.microsoft:QGemm"}  # a Flatten that no window passes stands in front of it
    assert {case.op for case in CASES if case.windowed.ruled} - behind_copies == set(WINDOW)
    assert {case.op for case in CASES if case.stacked.ruled} == set(STACKED)
