"""Rules for ``Tokens`` that treat every token by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import BATCH, Factor, is_pure, permute, regroup
from onnx_reciprocam.tail.registry import (
    BIASED,
    ELEMENTWISE,
    PASSING,
    REGROUPING,
    TOKENS,
    carries,
)
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Tokens
from onnx_reciprocam.tail.token_parts import TOGETHER, Answer, each_part, free, mixed, terms_of, tokens_in, varies
from onnx_reciprocam.tail.tokens import AUX, KEY, OWN, REST, TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.tail.axes import Axes, Axis
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Term


@carries(TOKENS, *PASSING)
def _passing(call: Call) -> Term | Misfit:
    """Unchanged, and no node."""
    term = call.terms[0]
    return term if isinstance(term, Tokens) and len(call.node.outputs) == 1 else Misfit("its mask output is read")


@carries(TOKENS, *ELEMENTWISE, *BIASED)
def elementwise(call: Call) -> Answer:
    """Token by token, if what is added or multiplied is the same for all of them."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    axes = tokens_in(terms)[0].axes
    for term, tensor in zip(terms, call.node.inputs, strict=True):
        if isinstance(term, Shared) and varies(call.walk.seen(tensor), axes):
            return Misfit("it adds or multiplies values that differ between tokens")
    result = broadcast([term.axes for term in tokens_in(terms)], call.result())
    return Misfit("it adds axes") if result is None else each_part(call, terms, [result])


def broadcast(operands: Sequence[Axes], shape: Sequence[int]) -> Axes | None:
    """The axes of a result of this shape: of each, those of an operand with its length."""
    if any(len(axes) != len(shape) for axes in operands):
        return None
    return tuple(_axis([axes[i] for axes in operands], size) for i, size in enumerate(shape))


def _axis(candidates: Sequence[Axis], size: int) -> Axis:
    fitting = [axis for axis in candidates if math.prod(factor.size for factor in axis) == size]
    return max(fitting, key=lambda axis: any(f.label for f in axis), default=(Factor("", size),))


@carries(TOKENS, "BatchNormalization")
def _batch_normalization(call: Call) -> Answer:
    """A scale and a shift per channel, if the statistics are the trained ones."""
    term = call.terms[0]
    if (
        not isinstance(term, Tokens)
        or not call.only_first()
        or call.attr("training_mode", 0)
        or not free(term.axes, [1])
    ):
        return TOGETHER
    return each_part(call, call.terms, [term.axes])


@carries(TOKENS, "Conv")
def _conv(call: Call) -> Answer:
    """A kernel of one token is a matrix product in each."""
    term, kernel = call.terms[0], call.attr("kernel_shape") or call.shape(1)[2:]
    plain = all(step == 1 for step in call.attr("strides", [])) and not any(call.attr("pads", []))
    if not isinstance(term, Tokens) or not call.only_first() or math.prod(kernel) != 1 or not plain:
        return Misfit("it mixes neighbouring tokens")
    if not free(term.axes, [1]) or mixed(term.axes):
        return TOGETHER
    return each_part(call, call.terms, [(term.axes[0], (Factor("", call.result()[1]),), *term.axes[2:])])


@carries(TOKENS, "Gemm")
def _gemm(call: Call) -> Answer:
    """Weights over channels, for tokens along the rows."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or not call.only_first() or call.attr("transA", 0) or not free(term.axes, [1]):
        return TOGETHER
    if len(call.terms) > 2 and varies(call.shape(2), term.axes):
        return Misfit("its bias differs between tokens")
    return each_part(call, call.terms, [(term.axes[0], (Factor("", call.result()[1]),))])


@carries(TOKENS, "Transpose")
def _transpose(call: Call) -> Answer:
    """The tokens move with their axis."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    axes = tokens_in(terms)[0].axes
    return each_part(call, terms, [permute(axes, call.attr("perm") or list(range(len(axes)))[::-1])])


@carries(TOKENS, *REGROUPING)
def _regrouping(call: Call) -> Answer | list[Spot]:
    """Every part in its own length; patches laid out as a map again are a ``Spot``."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or not call.only_first():
        return Misfit("its shape depends on the mask")
    axes = regroup(term.axes, call.result())
    if axes is None or not _whole(axes, term):
        return _as_map(call, term) or Misfit("it cuts across tokens")
    tokenizer, laid = call.stacker.tokenizer, replace(term, axes=axes)
    parts = {kind: tokenizer.reshaped(laid, kind) for kind in term.parts}
    kept = [kind for kind, part in term.parts.items() if part.origin is not None]
    if kept:
        fresh = tokenizer.originals(call.node.outputs[0], axes, term.before, term.after)
        parts.update((kind, fresh[kind]) for kind in kept)
    return [replace(laid, parts=parts)]


def _whole(axes: Axes, term: Tokens) -> bool:
    """Whether the tokens (and keys) still lie together."""
    sizes = [
        [f.size for axis in laid for f in axis if f.label == label]
        for laid in (axes, term.axes)
        for label in (TOKEN, KEY)
    ]
    return sizes[:2] == sizes[2:]


def _as_map(call: Call, term: Tokens) -> list[Spot] | None:
    """``b (h w) c`` back to ``b h w c``."""
    height, width, rest = call.stacker.height, call.stacker.width, term.parts[REST]
    if (
        AUX in term.parts
        or term.keys
        or term.live > 1
        or not rest.constant
        or not isinstance(height, int)
        or not isinstance(width, int)
    ):
        return None
    cells = (Factor("h", height, 1), Factor("w", width, 1))
    split = tuple(tuple(g for f in axis for g in (cells if f.label == TOKEN else (f,))) for axis in term.axes)
    axes, value = regroup(split, call.result()), rest.value
    if axes is None or not all(map(is_pure, axes)) or not isinstance(value, np.ndarray):
        return None
    own = term.parts[OWN]
    kept = call.node.outputs[0] if own.origin is not None else call.replay_with(call.stacker.tokenizer.tensor(own))[0]
    shape = tuple(math.prod(f.size for f in axis if f.label not in {"h", "w", BATCH}) for axis in axes)
    return [Spot(kept, value.reshape(shape), axes)]


@carries(TOKENS, "Expand")
def _expand(call: Call) -> Answer:
    """Unchanged, where it is there already."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or call.static(0) != call.static_result():
        return Misfit("it repeats tokens")
    return [term]
