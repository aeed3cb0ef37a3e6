"""Every rule for tokens where the picture's size decides how many there are, in runs of other sizes than the rewrite's."""

from __future__ import annotations

import re

import numpy as np
import pytest
import token_cases as cases
from carried import session
from case import NEWEST
from hypothesis import given
from hypothesis import strategies as st
from open_tail import OpenTail, open_carry, open_naive
from token_cases import TokenCase
from token_tail import CHANNELS, assert_exact

END = np.array([np.iinfo(np.int64).max])


def patches_to_the_end(t: OpenTail) -> str:
    return t.reduced("ReduceMean", t.op("Slice", t.block(t.x), np.array([t.aux[0]]), END, np.array([1])), 1)


def patches_and_one_more(t: OpenTail) -> str:
    return t.op("Slice", t.block(t.x), np.array([1]), END, np.array([1]))


def patches_up_to_the_last(t: OpenTail) -> str:
    return t.op("Slice", t.block(t.x), np.array([t.aux[0]]), np.array([-t.aux[1]]), np.array([1]))


def last_token(t: OpenTail) -> str:
    return t.linear(t.op("Gather", t.block(t.x), np.array(-1), axis=1))


def normal_token_behind(t: OpenTail) -> str:
    return t.op("Concat", t.block(t.x), t.input(t.normal(2, 1, CHANNELS)), axis=1)


FRONT = ((1, 0), (2, 0), (3, 0))
CASES = [
    *(TokenCase(build) for build in (cases.mlp, cases.one_block, cases.three_blocks, cases.fused_projection)),
    *(TokenCase(build) for build in (cases.talking_heads, cases.spelled_softmax, cases.attention_pool)),
    *(TokenCase(build) for build in (cases.mean, cases.mean_at_once, cases.largest, cases.total, cases.more_tokens)),
    *(TokenCase(build) for build in (cases.pooled_channels_first, cases.channels_joined, normal_token_behind)),
    *(TokenCase(build, aux=FRONT) for build in (cases.class_token, cases.class_token_at_once)),
    *(TokenCase(build, aux=FRONT) for build in (cases.gathered_projection, patches_to_the_end)),
    TokenCase(cases.both_heads, aux=((2, 0), (2, 1))),
    TokenCase(cases.class_attention, aux=((0, 0),)),
    TokenCase(patches_and_one_more, aux=((2, 0), (2, 1))),
    TokenCase(patches_up_to_the_last, aux=((1, 1), (0, 2))),
    TokenCase(cases.multi_head_attention),
    TokenCase(cases.one_operator, since=23),
    TokenCase(cases.one_operator_flat, since=23, aux=FRONT),
    TokenCase(cases.product_of_tokens, "no short form of ReduceProd"),
    TokenCase(last_token, "it picks tokens by numbers that the image's size changes", aux=((0, 1), (1, 2))),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
def test_rule_equals_running_every_masked_copy(case: TokenCase, data: st.DataObject) -> None:
    opset = data.draw(st.sampled_from(sorted({max(opset, case.since) for opset in (13, 17, NEWEST)})), "opset")
    tail = OpenTail(opset, data.draw(st.sampled_from(case.aux), "aux"), seed=data.draw(st.integers(0, 99), "seed"))
    built = case.build(tail)
    outputs = [built] if isinstance(built, str) else built
    walk, model, names = open_carry(tail, outputs)
    reasons = [note.widened for note in walk.notes if note.widened]
    assert re.fullmatch(case.widened, reasons[0] if reasons else "")
    explained = session(model)
    for grid in ((2, 3), (1, 1), data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)), "grid")):
        picture = tail.picture(grid)
        assert_exact(explained.run(names, {"image": picture, **tail.side}), open_naive(tail, outputs, picture))
