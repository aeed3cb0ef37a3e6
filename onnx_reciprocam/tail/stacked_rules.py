"""Rules for ``Stacked``: how an operator lives with one more axis, the masks.

Three ways suit nearly all of them: leave the axis where it is, put it in front and count the others on by one, or merge
it into the batch. What has no rule runs once per mask in a loop (:mod:`~.per_cell`), which is right for any operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.tail.registry import (
    BIASED,
    ELEMENTWISE,
    NORMALISING,
    PASSING,
    REDUCING,
    REGROUPING,
    ROWWISE,
    SELECTING,
    STACKED,
    carries,
    default_axis,
)
from onnx_reciprocam.tail.stacking import aligned
from onnx_reciprocam.tail.terms import Misfit, Shared, Stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import StaticShape, Term

Answer = list[Stacked] | Misfit


@carries(STACKED, *PASSING)
def _passing(call: Call) -> Term | Misfit:
    """Unchanged, and no node."""
    return call.stack(0) if len(call.node.outputs) == 1 else Misfit("its mask output is read")


@carries(STACKED, *ELEMENTWISE)
def _elementwise(call: Call) -> Answer:
    """Broadcasting: shared operands serve every mask."""
    rank = len(call.result())
    operands = [
        term if term is None or isinstance(term, Shared) else call.stack(i) for i, term in enumerate(call.terms)
    ]
    stacked = [operand for operand in operands if isinstance(operand, Stacked)]
    places = {operand.axis if len(operand.shape) == rank else 0 for operand in stacked}
    axis = places.pop() if len(places) == 1 else 0
    if axis is None and not all(_same_for_batch(call, i) for i, o in enumerate(operands) if isinstance(o, Shared)):
        axis = 0
    values = [_operand(call, i, operand, axis, rank) for i, operand in enumerate(operands)]
    return call.stacked(call.replay(*values), axis)


def _same_for_batch(call: Call, i: int) -> bool:
    """Whether input ``i`` broadcasts along axis 0 of the result."""
    shape = call.static(i)
    return len(shape) < len(call.result()) or shape[0] == 1


def _operand(call: Call, i: int, operand: Term | None, axis: int | None, rank: int) -> gs.Tensor:
    if isinstance(operand, Stacked):
        if operand.axis == axis and len(operand.shape) == rank:
            return operand.value
        return call.branch.unsqueeze(call.stacker.front(operand), range(1, 1 + rank - len(operand.shape)))
    if isinstance(operand, Shared) and axis is not None:
        return aligned(call.branch, operand, len(call.shape(i)), axis, rank)
    return call.node.inputs[i]


@carries(STACKED, *ROWWISE, *BIASED)
def _rowwise(call: Call) -> Answer:
    """Masks are more images."""
    if not call.only_first():
        return Misfit("its weights depend on the mask")
    if call.node.op == "FusedConv" and len(call.terms) > 3:
        return Misfit("what it adds differs between images")
    if call.node.op == "MaxPool" and len(call.node.outputs) != 1:
        return Misfit("it counts places over the whole batch")
    return on_rows(call)


def on_rows(call: Call, **attrs: Any) -> list[Stacked]:
    """The node on one row per mask and image."""
    return call.stacked(call.replay_with(call.stacker.rows(call.stack(0)), **attrs), None)


@carries(STACKED, "BatchNormalization")
def _batch_normalization(call: Call) -> Answer:
    """Masks are more images, if the statistics are the trained ones."""
    if call.attr("training_mode", 0):
        return Misfit("it normalises with the statistics of the batch")
    return _rowwise(call)


@carries(STACKED, "Resize", "Upsample")
def _resize(call: Call) -> Answer:
    """Masks are more images, if the batch keeps its length."""
    by_size = len(call.node.inputs) > 3 and bool(call.node.inputs[3].name)
    if not call.only_first() or by_size or call.attr("axes"):
        return Misfit("it names the length of the batch")
    return on_rows(call)


@carries(STACKED, "QuantizeLinear", "DequantizeLinear")
def _quantization(call: Call) -> Answer:
    """One scale serves every mask; one per channel counts its axis from the mask axis on."""
    if not call.only_first():
        return Misfit("its scale depends on the mask")
    if np.prod(call.shape(1)) == 1:
        term = call.stack(0)
        return call.stacked(call.replay_with(term.value), term.axis)
    return Misfit("it scales in blocks") if len(call.shape(1)) > 1 else _along_axis(call)


@carries(STACKED, *NORMALISING, *SELECTING)
def _along_axis(call: Call) -> Answer:
    """The axis counts from the mask axis on."""
    rank = len(call.shape(0))
    fallback = 1 if call.node.op.endswith("tizeLinear") else default_axis(call.node.op, call.walk.model.opset)
    axis = call.attr("axis", fallback)
    axis = min(axis, rank) if axis >= 0 else axis + rank
    if isinstance(call.terms[0], Shared) or not call.only_first():
        return Misfit("what it picks depends on the mask")
    term = call.stack(0)
    if term.axis is None and axis > 0:
        return call.stacked(call.replay_with(term.value, axis=axis), None)
    return call.stacked(call.replay_with(call.stacker.front(term), axis=axis + 1), 0)


@carries(STACKED, "Concat", "GatherElements")
def _joined(call: Call) -> Answer:
    """Every operand with one copy per mask, then along its own axis."""
    rank = len(call.result())
    axis = call.attr("axis", 0) % rank
    terms = [call.stack(i) for i in range(len(call.terms))]
    if axis and all(term.axis is None for term in terms):
        return call.stacked(call.replay(*(term.value for term in terms), axis=axis), None)
    return call.stacked(call.replay(*map(call.stacker.front, terms), axis=axis + 1), 0)


@carries(STACKED, *REDUCING)
def _reduce(call: Call) -> Answer:
    """Over the same axes, the mask axis among them or not."""
    axes = call.axes()
    if axes is None or not call.only_first():
        return Misfit("its axes are no constant")
    term, kept = call.stack(0), bool(call.attr("keepdims", 1))
    if not axes:
        return call.stacked(call.replay_with(term.value), term.axis)
    if term.axis is None and 0 in axes:
        term = Stacked(call.stacker.front(term), 0, term.shape)
    place = term.axis
    shifted = axes if place is None else [axis + (axis >= place) for axis in axes]
    if place is not None and not kept:
        place -= sum(axis < place for axis in axes)
    return call.stacked([call.branch.reduce(call.node.op, term.value, list(shifted), keepdims=kept)], place)


@carries(STACKED, "Transpose")
def _transpose(call: Call) -> Answer:
    """The mask axis comes to the front in the same move."""
    term = call.stack(0)
    rank = len(term.shape)
    perm = call.attr("perm") or list(range(rank))[::-1]
    if term.axis is None:
        if perm[0] == 0:
            return call.stacked([call.branch.transpose(term.value, perm)], None)
        term = Stacked(call.stacker.front(term), 0, term.shape)
    place = term.axis or 0
    moved = [place, *(axis + (axis >= place) for axis in perm)]
    return call.stacked([call.branch.transpose(term.value, moved)], 0)


@carries(STACKED, *REGROUPING)
def _regrouping(call: Call) -> Answer:
    """The same shape behind the mask axis; dropping axes of length 1 leaves it where it is."""
    if not call.only_first():
        return Misfit("its shape depends on the mask")
    term, before, after = call.stack(0), call.shape(0), call.result()
    shape = call.static_result()
    same_rows = before[:1] == after[:1] and call.static(0)[:1] == shape[:1]
    if term.axis is None and same_rows and None not in shape[1:]:
        lengths = [-1, *(size for size in shape[1:] if size is not None)]
        return call.stacked([call.branch.reshape(term.value, lengths)], None)
    place = _place_after(before, after, term.axis) if term.axis else None
    if place is None or shape.count(None) > 1:
        return call.stacked([call.branch.reshape(call.stacker.front(term), _behind_masks(call, shape))], 0)
    lengths = [-1 if size is None else size for size in shape]
    return call.stacked([call.branch.reshape(term.value, _inserted(lengths, place, call.stacker.count))], place)


def _place_after(before: Sequence[int], after: Sequence[int], place: int) -> int | None:
    """Where a mask axis at ``place`` lies after a reshape that only adds and drops lengths of 1, else None."""
    if [size for size in before if size != 1] != [size for size in after if size != 1]:
        return None
    ahead = sum(size != 1 for size in before[:place])
    if ahead == sum(size != 1 for size in before):
        return len(after)
    return next(i for i in range(len(after) + 1) if sum(size != 1 for size in after[:i]) == ahead)


def _inserted(lengths: Sequence[int], place: int, count: Size) -> list[Size]:
    return [*lengths[:place], count, *lengths[place:]]


def _behind_masks(call: Call, shape: StaticShape) -> list[Size]:
    """``[N, *shape]`` with at most one -1, else with lengths read from the original result."""
    if shape.count(None) <= 1:
        return [call.stacker.count, *(-1 if size is None else size for size in shape)]
    return [call.stacker.count, *call.branch.sizes(call.node.outputs[0], shape)]


@carries(STACKED, "Expand", "Tile")
def _repeated(call: Call) -> Answer:
    """One copy per mask stays one copy per mask."""
    if not call.only_first():
        return Misfit("its shape depends on the mask")
    missing = len(call.result()) - len(call.shape(0))
    value = call.branch.unsqueeze(call.stacker.front(call.stack(0)), range(1, 1 + missing))
    lengths = call.branch.concat([call.branch.constant([1]), call.node.inputs[1]], 0)
    return call.stacked(call.replay(value, lengths), 0)


@carries(STACKED, "Slice")
def _slice(call: Call) -> Answer:
    """Its axes count from the mask axis on."""
    if not call.only_first():
        return Misfit("what it picks depends on the mask")
    rank = len(call.shape(0))
    value = call.stacker.front(call.stack(0))
    if "starts" in call.node.attrs:  # opset 9
        axes = call.attr("axes") or range(len(call.attr("starts")))
        return call.stacked(call.replay(value, axes=[axis % rank + 1 for axis in axes]), 0)
    inputs = list(call.node.inputs)
    named = call.constant(3)
    if named is None and len(inputs) > 3 and inputs[3].name:
        return Misfit("its axes are no constant")
    axes = range(call.shape(1)[0]) if named is None else named.ravel().tolist()
    shifted = call.branch.constant([axis % rank + 1 for axis in axes], inputs[1].dtype or np.int64, hint="axes")
    return call.stacked(call.replay(value, *inputs[1:3], shifted, *inputs[4:]), 0)


@carries(STACKED, "Pad")
def _pad(call: Call) -> Answer:
    """No padding along the mask axis."""
    given = call.attr("pads")
    pads = given if given is not None else call.constant(1)
    named = len(call.node.inputs) > 3 and bool(call.node.inputs[3].name)
    if pads is None or named or not call.only_first():
        return Misfit("its padding is no constant")
    value, rank = call.stacker.front(call.stack(0)), len(call.shape(0))
    widths = [0, *np.ravel(pads)[:rank].tolist(), 0, *np.ravel(pads)[rank:].tolist()]
    if given is not None:  # before opset 11
        return call.stacked(call.replay(value, pads=widths), 0)
    return call.stacked(call.replay(value, call.branch.constant(widths, hint="pads"), *call.node.inputs[2:]), 0)


@carries(STACKED, "MatMul")
def _matmul(call: Call) -> Answer:
    """Matrix products broadcast over leading axes, the masks among them."""
    ranks = [len(call.shape(0)), len(call.shape(1))]
    if min(ranks) < 2:
        return Misfit("an operand is a vector")
    weights = isinstance(call.terms[1], Shared) and ranks[1] == 2
    if weights and call.stack(0).axis is None:
        return on_rows(call)
    values: list[gs.Tensor] = []
    for i, (term, node_input) in enumerate(zip(call.terms, call.node.inputs, strict=True)):
        missing = range(1, 1 + max(ranks) - ranks[i])
        shared = isinstance(term, Shared)
        values.append(node_input if shared else call.branch.unsqueeze(call.stacker.front(call.stack(i)), missing))
    return call.stacked(call.replay(*values), 0)


@carries(STACKED, "Gemm")
def _gemm(call: Call) -> Answer:
    """Masks are more rows."""
    if not call.only_first() or call.attr("transA", 0):
        return Misfit("its weights depend on the mask")
    if len(call.terms) > 2 and len(call.shape(2)) == 2 and call.static(2)[0] != 1:
        return Misfit("its bias differs between images")
    return on_rows(call)
