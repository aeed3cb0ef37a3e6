"""Rules for ``Tokens`` that take all tokens, or all keys, to one number: means, sums and extremes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.registry import REDUCING, TOKENS, carries
from onnx_reciprocam.tail.terms import Misfit, Part, Stacked, Tokens
from onnx_reciprocam.tail.token_mixing import copies, dtype_of
from onnx_reciprocam.tail.token_parts import TOGETHER, Answer, each_part, free, terms_of
from onnx_reciprocam.tail.tokens import AUX, KEY, OWN, REST, is_apart, place

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.call import Call


@carries(TOKENS, *REDUCING)
def _reduce(call: Call) -> Answer | list[Stacked]:
    """Over channels, in each token alone; over the tokens, one number per mask."""
    terms, reduced = terms_of(call), call.axes()
    if isinstance(terms, Misfit) or reduced is None:
        return terms if isinstance(terms, Misfit) else Misfit("its axes are no constant")
    term = terms[0]
    if not isinstance(term, Tokens):
        return TOGETHER
    kept = bool(call.attr("keepdims", 1))
    if reduced == (place(term.axes),) and is_apart(term.axes) and not term.keys:
        return over_tokens(call, term, call.node.op, kept=kept)
    if reduced == (place(term.axes, KEY),) and is_apart(term.axes):
        return _over_all_keys(call, term, kept=kept)
    if not free(term.axes, reduced):
        return TOGETHER
    results: Axes = tuple(() if i in reduced else axis for i, axis in enumerate(term.axes) if kept or i not in reduced)
    return each_part(call, terms, [results])


def _over_all_keys(call: Call, term: Tokens, *, kept: bool) -> Answer:
    """Along the keys of attention scores, as a softmax written out needs it."""
    tokenizer, kind, axis = call.stacker.tokenizer, call.node.op, place(term.axes, KEY)
    if kind not in {"ReduceMax", "ReduceMin", "ReduceSum"}:
        return Misfit(f"no short form of {kind}")
    axes = (*term.axes[:axis], *([()] if kept else []), *term.axes[axis + 1 :])

    def make(part: Part) -> Callable[[], gs.Tensor]:
        def reduced() -> gs.Tensor:
            value = tokenizer.tensor(part)
            times = copies(call, term, axis, len(term.axes))
            if kind == "ReduceSum":
                value = call.branch.op("Mul", value, times.numbers())
            else:
                value = times.without_none(value, kind)
            return call.branch.reduce(kind, value, [axis], keepdims=kept)

        return reduced

    return [
        replace(term, parts={name: Part(make(p), each=True) for name, p in term.parts.items()}, axes=axes, keys=None)
    ]


@carries(TOKENS, "GlobalAveragePool")
def _global_average(call: Call) -> Answer | list[Stacked]:
    """The mean over ``b c t``, or ``b c t 1``."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or place(term.axes) < 2 or not is_apart(term.axes) or term.keys:
        return TOGETHER
    if math.prod(factor.size for axis in term.axes[2:] for factor in axis) != call.shape(0)[place(term.axes)]:
        return TOGETHER
    return over_tokens(call, term, "ReduceMean", kept=True)


def over_tokens(call: Call, term: Tokens, kind: str, *, kept: bool) -> list[Stacked] | Misfit:
    """All tokens to one, ``[..., N, ...]``: the masks lie where the tokens lay."""
    axis, tokenizer, branch = place(term.axes), call.stacker.tokenizer, call.branch
    if kind in {"ReduceMax", "ReduceMin"}:
        times = copies(call, term, axis + 1, len(term.axes) + 1)
        value: gs.Tensor = branch.reduce(
            kind, times.without_none(tokenizer.together(term), kind), [axis + 1], keepdims=False
        )
    elif kind in {"ReduceMean", "ReduceSum"}:
        rest = _resting(call, term, branch.plus(tokenizer.count, -term.live))
        own = _live(call, term, axis)
        value = own if rest is None else branch.op("Add", own, rest)
        if AUX in term.parts:
            aux = branch.reduce("ReduceSum", tokenizer.split(term, AUX), [axis + 1], keepdims=False)
            value = branch.op("Add", value, aux)
        if kind == "ReduceMean":
            total = _number(call, branch.plus(tokenizer.count, term.before + term.after), "tokens")
            value = branch.op("Div", value, total)
    else:
        return Misfit(f"no short form of {kind}")
    return call.stacked([branch.unsqueeze(value, [axis + 1]) if kept else value], axis)


def _live(call: Call, term: Tokens, axis: int) -> gs.Tensor:
    """The sum of the live tokens, ``[..., N, ...]``."""
    tokenizer = call.stacker.tokenizer
    if term.live == 1:
        return tokenizer.tensor(term.parts[OWN])
    return call.branch.reduce("ReduceSum", tokenizer.split(term, OWN), [axis + 1], keepdims=False)


def _resting(call: Call, term: Tokens, count: Size) -> gs.Tensor | None:
    """The resting token so many times; nothing where it is zero."""
    rest = term.parts[REST].value
    if isinstance(rest, np.ndarray) and not rest.any():
        return None
    if isinstance(rest, np.ndarray) and isinstance(count, int):
        return call.branch.constant(rest.astype(np.float64) * count, rest.dtype, hint=REST)
    one = call.stacker.tokenizer.tensor(term.parts[REST])
    return call.branch.op("Mul", one, _number(call, count, "resting"))


def _number(call: Call, count: Size, hint: str) -> gs.Tensor:
    """A length in the result's type."""
    if isinstance(count, int):
        return call.branch.constant(count, dtype_of(call), hint=hint)
    return call.branch.cast(count, dtype_of(call))
