"""Rules for quantised values: Q-DQ pairs, QLinear operators, and weights of a few bits.

Whole numbers add up the same in any order, so these are exact bit for bit as long as every operator of the branch meets
the neighbours that it has in the file: then a runtime fuses both the same way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.tail.axes import Factor, is_batch, is_cell, resized
from onnx_reciprocam.tail.quantisation import (
    HELD,
    NBITS,
    PAIRED,
    QUANTISED_ELEMENTWISE,
    QUANTISED_PRODUCTS,
    QUANTISED_ROWWISE,
)
from onnx_reciprocam.tail.registry import SPOT, STACKED, TOKENS, carries, operator
from onnx_reciprocam.tail.spot_rules import each_cell, elementwise, in_place
from onnx_reciprocam.tail.stacked_rules import on_rows
from onnx_reciprocam.tail.stacking import aligned
from onnx_reciprocam.tail.terms import Misfit, Part, Shared, Spot, Stacked, Tokens, Window
from onnx_reciprocam.tail.token_parts import each_part, free, terms_of
from onnx_reciprocam.tail.token_rules import elementwise as each_token
from onnx_reciprocam.tail.window_call import carries_windows, column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.window_call import WindowCall

BLOCKS = Misfit("it scales in blocks")


# Q-DQ pairs ---------------------------------------------------------------------------------------------------------


def _scaled(call: Call, rank: int) -> int | Misfit | None:
    """The axis along which the scale differs, None if it is one number; a Misfit where no cell stays by itself.

    Before an operator that is fused with it, a DequantizeLinear stays where it is: what is chosen per mask are the
    whole numbers in front of it.
    """
    if not call.only_first():
        return Misfit("its scale depends on the mask")
    if call.node.op == "DequantizeLinear" and call.walk.is_rounded(call.node.outputs[0]):
        return Misfit(HELD)
    if len(call.shape(1)) > 1:
        return BLOCKS
    return None if math.prod(call.shape(1)) == 1 else call.attr("axis", 1) % rank


@carries(SPOT, *PAIRED)
def _spot_pair(call: Call) -> list[Spot] | Misfit:
    """Cell by cell; what the file itself makes of the live cell is read, not made again."""
    spot = call.spots[0]
    axis = _scaled(call, len(spot.axes))
    if isinstance(axis, Misfit):
        return axis
    if axis is not None and (is_cell(spot.axes[axis]) or is_batch(spot.axes[axis])):
        return Misfit("its scale differs between cells")
    answer = each_cell(call, spot.axes)
    if isinstance(answer, Misfit) or spot.own is not call.node.inputs[0]:
        return answer
    return [replace(answer[0], own=call.node.outputs[0])]


@carries(TOKENS, *PAIRED)
def _token_pair(call: Call) -> list[Tokens] | Misfit:
    """Token by token."""
    terms = terms_of(call)
    if isinstance(terms, Misfit) or not isinstance(term := terms[0], Tokens):
        return terms if isinstance(terms, Misfit) else Misfit("its scale depends on the mask")
    axis = _scaled(call, len(term.axes))
    if isinstance(axis, Misfit):
        return axis
    if axis is not None and not free(term.axes, [axis]):
        return Misfit("its scale differs between tokens")
    return each_part(call, terms, [term.axes])


@carries_windows(*PAIRED)
def _window_pair(call: WindowCall) -> list[Window] | Misfit:
    """Pair by pair."""
    axes = call.windows[0].axes
    axis = _scaled(call, len(axes))
    if isinstance(axis, Misfit):
        return axis
    if axis is None:
        return call.answer(call.replay_with(call.window.own)[0], axes)
    if is_cell(axes[axis]) or is_batch(axes[axis]):
        return Misfit("its scale differs between cells")
    return call.answer(call.replay_with(call.window.own, axis=column(axes, axis))[0], axes)


# QLinear operators --------------------------------------------------------------------------------------------------

carries(SPOT, *QUANTISED_ELEMENTWISE)(elementwise)
carries(TOKENS, *QUANTISED_ELEMENTWISE)(each_token)


def _weighs_rows(call: Call) -> bool:
    """Whether it multiplies every row of its first operand by the same matrix."""
    rows = call.only_first() and not call.attr("transA", 0) and len(call.shape(3)) == 2
    return rows and math.prod(call.shape(1)) == 1


@carries(SPOT, "QLinearMatMul", "com.microsoft:QGemm")
def _spot_product(call: Call) -> list[Spot] | Misfit:
    """A matrix product over channels acts in each cell alone."""
    axes = call.spots[0].axes
    if not _weighs_rows(call) or is_cell(axes[-1]) or is_batch(axes[-1]):
        return Misfit("it sums over cells")
    return each_cell(call, axes)


@carries(TOKENS, "QLinearMatMul", "com.microsoft:QGemm")
def _token_product(call: Call) -> list[Tokens] | Misfit:
    """Weights in each token alone."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or not _weighs_rows(call) or not free(term.axes, [-1]):
        return Misfit("it mixes tokens")
    return each_part(call, call.terms, [(*term.axes[:-1], (Factor("", call.result()[-1]),))])


@carries(SPOT, "QLinearConv")
def _pointwise(call: Call) -> list[Spot] | Misfit:
    """A 1x1 convolution is a matrix product in each cell."""
    axes, kernel = call.spots[0].axes, call.shape(3)[2:]
    if math.prod(kernel) != 1 or is_cell(axes[0]) or is_cell(axes[1]):
        return Misfit(f"a {'x'.join(map(str, kernel))} convolution mixes neighbouring cells")
    return each_cell(call, axes) if in_place(call) else Misfit("its stride or padding changes the grid")


@carries(STACKED, *QUANTISED_ROWWISE)
def _rowwise(call: Call) -> list[Stacked] | Misfit:
    """Masks are more images."""
    if not call.only_first() or call.attr("transA", 0):
        return Misfit("its weights or scales depend on the mask")
    return on_rows(call)


@carries(STACKED, *QUANTISED_ELEMENTWISE)
def _elementwise(call: Call) -> list[Stacked] | Misfit:
    """Broadcasting, the masks in front."""
    places = (0, 3) if operator(call.node) in QUANTISED_ELEMENTWISE[:2] else (0,)
    return _in_front(call, places, len(call.result()))


@carries(STACKED, *QUANTISED_PRODUCTS)
def _product(call: Call) -> list[Stacked] | Misfit:
    """Matrix products broadcast over leading axes, the masks among them."""
    places = QUANTISED_PRODUCTS[operator(call.node)]
    ranks = [len(call.shape(i)) for i in places]
    scales = [i for i in range(len(call.terms)) if i not in places and call.node.inputs[i].name]
    if min(ranks) < 2:
        return Misfit("an operand is a vector")
    if any(math.prod(call.shape(i)) != 1 for i in scales if i < places[1]):
        return Misfit("its scale differs between rows")
    return _in_front(call, places, max(ranks))


def _in_front(call: Call, places: Sequence[int], rank: int) -> list[Stacked] | Misfit:
    """The node with the masks in front of the operands at ``places``; no other may depend on them."""
    if any(not isinstance(term, Shared) for i, term in enumerate(call.terms) if i not in places and term is not None):
        return Misfit("its scale depends on the mask")
    inputs = list(call.node.inputs)
    for i in places:
        term = call.terms[i]
        if isinstance(term, Shared):
            inputs[i] = aligned(call.branch, term, len(call.shape(i)), 0, rank)
        else:
            missing = range(1, 1 + rank - len(call.shape(i)))
            inputs[i] = call.branch.unsqueeze(call.stacker.front(call.stack(i)), missing)
    return call.stacked(call.replay(*inputs), 0)


@carries(STACKED, "com.microsoft:QLinearConcat")
def _concat(call: Call) -> list[Stacked] | Misfit:
    """Every operand with one copy per mask, each followed by its scale and zero point."""
    places = range(2, len(call.terms), 3)
    if any(not isinstance(term, Shared) for i, term in enumerate(call.terms) if i not in places):
        return Misfit("its scale depends on the mask")
    inputs: list[gs.Tensor] = list(call.node.inputs)
    for i in places:
        inputs[i] = call.stacker.front(call.stack(i))
    axis = call.attr("axis") % len(call.result())
    return call.stacked(call.replay(*inputs, axis=axis + 1), 0)


@carries(STACKED, "com.microsoft:QLinearSoftmax")
def _softmax(call: Call) -> list[Stacked] | Misfit:
    """Masks are more images."""
    axis: Any = call.attr("axis", -1)
    if not call.only_first() or axis % len(call.shape(0)) == 0:
        return Misfit("it normalises over images")
    return on_rows(call)


@carries(TOKENS, "DynamicQuantizeLinear")
def _dynamic(call: Call) -> list[Tokens | Shared] | Misfit:
    """Its scale is that of all tokens together; what a token says through it alone is no answer to what depends on what."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or not call.walk.only_asks:
        return Misfit("its scale spans all cells and images")
    parts = {kind: replace(part, make=_as_whole(call, part), constant=False) for kind, part in term.parts.items()}
    fresh = call.stacker.tokenizer.originals(call.node.outputs[0], term.axes, term.before, term.after)
    parts |= {kind: fresh[kind] for kind, part in term.parts.items() if part.origin is not None}
    return [replace(term, parts=parts), *map(Shared, call.node.outputs[1:])]


def _as_whole(call: Call, part: Part) -> Callable[[], gs.Tensor]:
    return lambda: call.branch.cast(call.stacker.tokenizer.tensor(part), np.uint8)


@carries(TOKENS, "MatMulInteger")
def _token_product_of_integers(call: Call) -> list[Tokens] | Misfit:
    """Weights in each token alone."""
    term = call.terms[0]
    if not isinstance(term, Tokens) or not call.only_first() or len(call.shape(1)) != 2 or not free(term.axes, [-1]):
        return Misfit("it mixes tokens, or its scale depends on the mask")
    return each_part(call, call.terms, [(*term.axes[:-1], (Factor("", call.result()[-1]),))])


# weights of a few bits ----------------------------------------------------------------------------------------------


@carries(SPOT, NBITS)
def _spot_nbits(call: Call) -> list[Spot] | Misfit:
    """A matrix product over channels acts in each cell alone."""
    axes = call.spots[0].axes
    if not call.only_first() or is_cell(axes[-1]) or is_batch(axes[-1]):
        return Misfit("it sums over cells")
    return each_cell(call, axes)


@carries(TOKENS, NBITS)
def _token_nbits(call: Call) -> list[Tokens] | Misfit:
    """Weights in each token alone."""
    terms = terms_of(call)
    if isinstance(terms, Misfit) or not isinstance(term := terms[0], Tokens):
        return terms if isinstance(terms, Misfit) else Misfit("its weights depend on the mask")
    if not free(term.axes, [-1]):
        return Misfit("it sums over tokens")
    return each_part(call, terms, [(*term.axes[:-1], (Factor("", call.result()[-1]),))])


@carries_windows(NBITS)
def _window_nbits(call: WindowCall) -> list[Window] | Misfit:
    """Pair by pair."""
    axes = call.windows[0].axes
    result = resized(axes, call.result())
    if not call.only_first() or is_cell(axes[-1]) or is_batch(axes[-1]) or result is None:
        return Misfit("it sums over cells")
    return call.answer(call.replay_with(call.window.own)[0], result)


@carries(STACKED, NBITS)
def _stacked_nbits(call: Call) -> list[Stacked] | Misfit:
    """Masks are more rows."""
    return _in_front(call, (0,), len(call.shape(0)))
