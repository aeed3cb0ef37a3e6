"""A node on tokens, part by part: each pays for its own tokens, and only if it is read.

What the auxiliary and the live tokens have in the original network needs no node at all until attention mixes them: the
live token's features, normalised and multiplied by weights, are what the original computed for that cell.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.tail.axes import BATCH, Factor, cell_axes, cell_factors, in_order, is_pure
from onnx_reciprocam.tail.fold import run_node
from onnx_reciprocam.tail.terms import Misfit, Part, Shared, Spot, Stacked, Tokens
from onnx_reciprocam.tail.tokens import KEY, OWN, REST, TOKEN, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Term

Answer = list[Tokens] | Misfit
TOGETHER = Misfit("it mixes tokens")


# what the terms are -------------------------------------------------------------------------------------------------


def terms_of(call: Call) -> list[Term | None] | Misfit:
    """The inputs, a map along one axis as the patches that it is."""
    terms = [as_tokens(call, term) if isinstance(term, Spot) else term for term in call.terms]
    misfit = next((term for term in terms if isinstance(term, Misfit)), None)
    return misfit or [term for term in terms if not isinstance(term, Misfit)]


def as_tokens(call: Call, spot: Spot) -> Tokens | Misfit:
    """``b (h w) c`` as patches without auxiliary tokens."""
    cells, factors = cell_axes(spot.axes), cell_factors(spot.axes)
    in_a_row = len(cells) == 1 and is_pure(spot.axes[cells[0]]) and in_order(factors) == list(range(len(factors)))
    if not in_a_row:
        return Misfit("its cells are no row of tokens")
    count = call.stacker.tokenizer.seen
    axes = tuple((Factor(TOKEN, count),) if i in cells else axis for i, axis in enumerate(spot.axes))
    own = Part(lambda: call.stacker.of_masks(spot.own, cells[0]), each=True)
    return Tokens({OWN: own, REST: Part(lambda: spot.rest, constant=True)}, axes, 0, 0)


def tokens_in(terms: Sequence[Term | None]) -> list[Tokens]:
    """Those that are tokens."""
    return [term for term in terms if isinstance(term, Tokens)]


def mixed(axes: Axes) -> list[int]:
    """The axes on which images share with something else."""
    return [i for i, axis in enumerate(axes) if len(axis) > 1 and any(factor.label == BATCH for factor in axis)]


# the node, part by part ---------------------------------------------------------------------------------------------


def each_part(call: Call, terms: Sequence[Term | None], results: Sequence[Axes]) -> Answer:
    """The node on each part, with the axes of each output in ``results``."""
    tokens = tokens_in(terms)
    first = tokens[0]
    if any(isinstance(term, Spot | Stacked) for term in terms):
        return Misfit("it joins tokens with what every mask has as a whole")
    if any(unlike(first, other) for other in tokens[1:]):
        return Misfit("its operands hold their tokens in different places")
    if any(mixed(term.axes) and _held_differently(tokens, kind) for term in tokens for kind in first.parts):
        return Misfit("its operands lay images and tokens along one axis")
    keys = next((term.keys for term in tokens if term.keys), None)
    widest = replace(first, keys=keys)
    call.spend(0)
    made = {kind: _made(call, terms, kind, results) for kind in first.parts}
    return [
        replace(
            widest,
            parts={kind: parts[i] for kind, parts in made.items()},
            axes=axes,
            keys=keys if _has_keys(axes) else None,
        )
        for i, axes in enumerate(results)
    ]


def _has_keys(axes: Axes) -> bool:
    return place(axes, KEY) >= 0


def unlike(first: Tokens, other: Tokens) -> bool:
    """Whether two operands do not hold the same tokens along the same axis."""
    spans = (first.before, first.after, first.live) != (other.before, other.after, other.live)
    keys = None not in (first.keys, other.keys) and (first.keys, _keys(first)) != (other.keys, _keys(other))
    where = place(first.axes)
    rows = where != place(other.axes) or first.axes[where] != other.axes[where]
    return spans or keys or rows or len(first.axes) != len(other.axes)


def _keys(term: Tokens) -> int:
    return place(term.axes, KEY)


def _held_differently(tokens: Sequence[Tokens], kind: str) -> bool:
    return len({(term.parts[kind].each, term.parts[kind].constant) for term in tokens}) > 1


def _made(call: Call, terms: Sequence[Term | None], kind: str, results: Sequence[Axes]) -> list[Part]:
    """One part of each output."""
    parts = [term.parts[kind] for term in tokens_in(terms)]
    first = tokens_in(terms)[0]
    if all(part.origin is not None for part in parts):
        outputs = zip(call.node.outputs, results, strict=True)
        tokenizer = call.stacker.tokenizer
        return [tokenizer.originals(output, axes, first.before, first.after)[kind] for output, axes in outputs]
    others = [i for i, term in enumerate(terms) if isinstance(term, Shared)]
    constant = all(part.constant for part in parts) and all(call.constant(i) is not None for i in others)
    each = any(part.each for part in parts)
    run = cache(lambda: _folded(call, terms, kind) if constant else _replayed(call, terms, kind))
    return [Part(_output(run, i), each, constant) for i in range(len(results))]


def _output(run: Callable[[], Sequence[Any]], i: int) -> Callable[[], Any]:
    return lambda: run()[i]


def _folded(call: Call, terms: Sequence[Term | None], kind: str) -> Sequence[NDArray[np.generic]]:
    values: list[NDArray[np.generic] | None] = []
    for i, term in enumerate(terms):
        value = term.parts[kind].value if isinstance(term, Tokens) else call.constant(i)
        values.append(value if isinstance(value, np.ndarray) else None)
    return run_node(call.walk.model, call.node, values)


def _replayed(call: Call, terms: Sequence[Term | None], kind: str) -> Sequence[gs.Tensor]:
    """The node once more on one part of its inputs; where some masks have their own, all get theirs."""
    tokenizer, tokens = call.stacker.tokenizer, tokens_in(terms)
    each = any(term.parts[kind].each for term in tokens)
    several = each and tokenizer.single(tokens[0], kind) > 1
    inputs = list(call.node.inputs)
    for i, term in enumerate(terms):
        if isinstance(term, Tokens):
            inputs[i] = tokenizer.spread(term, kind) if several else tokenizer.tensor(term.parts[kind])
    charge(call, kind, tokenizer.rows(tokens[0], kind, each=each), tokens[0])
    return call.replay(*inputs)


def charge(call: Call, kind: str, rows: int, term: Tokens) -> None:
    """Note what the node costs on so many tokens."""
    whole = term.before + term.after + call.stacker.tokenizer.seen
    cost = call.walk.multiply_adds(call.node) * rows // whole
    if term.keys is not None:
        cost = cost * term.kinds_of_keys // (sum(term.keys) + call.stacker.tokenizer.seen)
    call.walk.charge(call.node, f"{kind} tokens", cost)


def free(axes: Axes, which: Sequence[int]) -> bool:
    """Whether these axes run over neither tokens nor keys nor images."""
    return all(factor.label not in {TOKEN, KEY, BATCH} for i in which for factor in axes[i])


def varies(shape: Sequence[int], axes: Axes) -> bool:
    """Whether a broadcast operand of this shape differs between tokens, or between images where those share an axis."""
    offset = len(axes) - len(shape)
    telling = {place(axes), place(axes, KEY), *mixed(axes)} - {-1}
    return any(i >= offset and shape[i - offset] != 1 for i in telling)
