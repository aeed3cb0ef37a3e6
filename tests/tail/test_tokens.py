"""Every rule for tokens against running every masked copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import quantised_token_cases
import token_cases
from case import NEWEST
from hypothesis import given
from hypothesis import strategies as st
from token_cases import class_token, one_block, three_blocks
from token_tail import TokenTail, assert_exact, carry_tokens, naive_tokens

from onnx_reciprocam.tail.registry import TOKENS

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject
    from token_cases import TokenCase

CASES: list[TokenCase] = [*token_cases.CASES, *quantised_token_cases.CASES]
SIDES = st.tuples(st.integers(1, 3), st.integers(1, 3)).filter(lambda grid: grid != (1, 1))


def draw_tail(case: TokenCase, data: DataObject) -> TokenTail:
    batch, dynamic = data.draw(st.sampled_from([(1, False), (2, False), (3, True)]), "batch")
    opsets = sorted({max(opset, case.since) for opset in (13, 17, NEWEST)})
    return TokenTail(
        data.draw(st.sampled_from(opsets), "opset"),
        data.draw(SIDES, "grid"),
        data.draw(st.sampled_from(case.aux), "aux"),
        batch=batch,
        dynamic=dynamic,
        first=case.first,
        seed=data.draw(st.integers(0, 99), "seed"),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
def test_rule_equals_running_every_masked_copy(case: TokenCase, data: DataObject) -> None:
    tail = draw_tail(case, data)
    built = case.build(tail)
    outputs = [built] if isinstance(built, str) else built
    carried = carry_tokens(tail, outputs)
    assert_exact(carried.run(), naive_tokens(tail, outputs))
    reasons = [note.widened for note in carried.walk.notes if note.widened]
    assert re.fullmatch(case.widened, reasons[0] if reasons else "")


def test_every_rule_has_a_case() -> None:
    used = set()
    for case in CASES:
        tail = TokenTail(max(17, case.since), (2, 2), case.aux[0], first=case.first)
        built = case.build(tail)
        model = tail.model([built] if isinstance(built, str) else built)
        used |= {f"{node.domain}:{node.op_type}" if node.domain else node.op_type for node in model.graph.node}
    assert {rule for op, rule in TOKENS.items() if op in used} == set(TOKENS.values())


@pytest.mark.parametrize("mask", ["gaussian", "replicated"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule_with_neighbours_live_too(case: TokenCase, mask: str) -> None:
    tail = TokenTail(max(17, case.since), (3, 4), case.aux[-1], first=case.first)
    built = case.build(tail)
    outputs = [built] if isinstance(built, str) else built
    carried = carry_tokens(tail, outputs, mask)
    assert_exact(carried.run(), naive_tokens(tail, outputs, mask))


@pytest.mark.parametrize("mask", ["gaussian", "replicated"])
@pytest.mark.parametrize("aux", [(0, 0), (1, 0), (1, 2)], ids=str)
@given(grid=st.tuples(st.integers(1, 5), st.integers(1, 5)).filter(lambda grid: grid != (1, 1)))
def test_masks_that_look_at_neighbours(mask: str, aux: tuple[int, int], grid: tuple[int, int]) -> None:
    tail = TokenTail(17, grid, aux)
    outputs = [one_block(tail)]
    carried = carry_tokens(tail, outputs, mask)
    assert_exact(carried.run(), naive_tokens(tail, outputs, mask))
    nothing_rests = min(3, grid[0]) * min(3, grid[1]) == grid[0] * grid[1]
    assert any(note.term == "Stacked" for note in carried.walk.notes) == nothing_rests


def test_the_slow_way_is_the_same() -> None:
    tail = TokenTail(17, (3, 2), (1, 1))
    outputs = [one_block(tail)]
    carried = carry_tokens(tail, outputs, slow=True)
    assert_exact(carried.run(), naive_tokens(tail, outputs))
    assert {note.term for note in carried.walk.notes} == {"Stacked"}


def test_a_class_token_computes_no_other_token_of_the_last_block() -> None:
    tail = TokenTail(17, (4, 4))
    carried = carry_tokens(tail, [class_token(tail)])
    spent = sum(note.multiply_adds for note in carried.walk.notes)
    single = TokenTail(17, (4, 4))
    whole = carry_tokens(single, [single.block(single.block(single.x))])
    assert spent < sum(note.multiply_adds for note in whole.walk.notes)
    assert not [note for note in carried.walk.notes if note.widened]


def test_tokens_rest_at_a_cost_of_three_however_deep() -> None:
    """The auxiliary, the live and a resting token per mask, where the naive way has all."""
    tail = TokenTail(17, (4, 4))
    carried = carry_tokens(tail, [three_blocks(tail)])
    plain = sum(carried.walk.multiply_adds(node) for node in carried.walk.model.graph.nodes)
    assert sum(note.multiply_adds for note in carried.walk.notes) < 3 * plain
