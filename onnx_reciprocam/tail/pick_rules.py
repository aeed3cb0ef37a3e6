"""How a choice of channels goes backwards through an operator: one rule per kind of operator.

A rule answers what is wanted of a node's result by asking for something of the node's inputs, or with None where choosing
later is right: because classes meet there (Softmax), or because nothing is saved.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.tail.call import Call
from onnx_reciprocam.tail.pairs import gathered
from onnx_reciprocam.tail.pick_layers import dtype_of, layer_of
from onnx_reciprocam.tail.pick_leaves import Chosen
from onnx_reciprocam.tail.pick_wanted import Rows
from onnx_reciprocam.tail.registry import ELEMENTWISE, PASSING, REDUCING, REGROUPING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.pick_leaves import Ask
    from onnx_reciprocam.tail.walk import Walk


class Picker(Protocol):
    """Who answers the questions of the rules."""

    walk: Walk

    def beyond(self, ask: Ask) -> Chosen | None:
        """Answer if pushing the choice further back than ``ask.tensor`` saves anything."""

    def answer(self, ask: Ask) -> Chosen | None:
        """Answer in any case, unless the walk does better on its own."""


def passing(picker: Picker, ask: Ask) -> Chosen | None:
    """Hand the question on."""
    node = ask.tensor.inputs[0]
    return picker.beyond(replace(ask, tensor=node.inputs[0])) if ask.tensor is node.outputs[0] else None


def regrouping(picker: Picker, ask: Ask) -> Chosen | None:
    """A reshape that keeps batch and channels axes of their own; places stay in order, however they are grouped."""
    source = ask.tensor.inputs[0].inputs[0]
    before, after = picker.walk.seen(source), picker.walk.seen(ask.tensor)
    ahead = math.prod(after[1 : ask.axis])
    places = [i for i in range(1, len(before)) if before[i] == after[ask.axis] and math.prod(before[1:i]) == ahead]
    if not places or before[0] != after[0]:
        return None
    return picker.beyond(replace(ask, tensor=source, axis=places[0]))


def transposing(picker: Picker, ask: Ask) -> Chosen | None:
    """A transpose that moves channels past places (``b h w c`` to ``b c h w``) and keeps the order of these."""
    call = _call(picker, ask)
    shape = call.shape(0)
    perm = list(call.attr("perm") or reversed(range(len(shape))))
    places = [axis for i, axis in enumerate(perm) if i not in {0, ask.axis} and shape[axis] != 1]
    if perm[0] != 0 or places != sorted(places):
        return None
    return picker.beyond(replace(ask, tensor=call.node.inputs[0], axis=perm[ask.axis]))


def linear(picker: Picker, ask: Ask) -> Chosen | None:
    """``R (W x + bias) = (R W) x + R bias``: rows of the layer for its inputs, whatever their term."""
    walk = picker.walk
    layer = layer_of(walk, ask.tensor.inputs[0], ask.axis)
    if layer is None:
        return None
    bias = _wanted_of(walk, ask, layer.bias) if layer.bias is not None else None
    if layer.bias is not None and bias is None:
        return None
    found = picker.answer(replace(ask, tensor=layer.node.inputs[0], axis=layer.axis, wanted=ask.wanted.through(layer)))
    if found is None or bias is None:
        return found
    return found.plus(walk, layer.scaled(walk, bias, layer.beta))


def elementwise(picker: Picker, ask: Ask) -> Chosen | None:
    """The operator on the chosen values: of one masked operand and per-channel ones, or of several masked ones."""
    walk, node = picker.walk, ask.tensor.inputs[0]
    if isinstance(ask.wanted, Rows):
        return _affine(picker, ask, ask.wanted)
    masked = {i: tensor for i, tensor in enumerate(node.inputs) if tensor.name and walk.depends(tensor)}
    others = {i: _per_channel(walk, ask, tensor) for i, tensor in enumerate(node.inputs) if i not in masked}
    aligned = all(walk.seen(tensor) == walk.seen(ask.tensor) for tensor in masked.values())
    if not masked or not aligned or any(value is None for value in others.values()):
        return None
    found = {i: picker.beyond(replace(ask, tensor=tensor)) for i, tensor in masked.items()}
    if not any(found.values()):
        return None
    answers = {i: chosen or picker.answer(replace(ask, tensor=masked[i])) for i, chosen in found.items()}
    return _combined(walk, node, {i: a for i, a in answers.items() if a is not None}, others)


def _combined(
    walk: Walk, node: gs.Node, answers: Mapping[int, Chosen], others: Mapping[int, gs.Tensor | None]
) -> Chosen | None:
    """The node on each part; None if an operand has no answer, or ones of another kind than its neighbour."""
    kinds = {(len(answer.parts), answer.patches) for answer in answers.values()}
    one_way = node.op == "PRelu" and kinds != {(1, None)}  # its slope must not be longer than what it multiplies
    if len(answers) + len(others) < len(node.inputs) or len(kinds) > 1 or one_way:
        return None
    parts = []
    ((count, patches),) = kinds
    for part in range(count):
        operands = [answers[i].parts[part] if i in answers else others[i] for i in range(len(node.inputs))]
        parts += walk.branch.emit(node.op, operands, domain=node.domain or "", **node.attrs)
    notes = dict.fromkeys(note for answer in answers.values() for note in answer.notes)
    return Chosen(tuple(parts), tuple(notes), patches)


def _affine(picker: Picker, ask: Ask, rows: Rows) -> Chosen | None:
    """Between two linear layers: ``R (x + b) = R x + R b`` and ``R (s x) = (R s) x`` with a value per channel."""
    walk, node = picker.walk, ask.tensor.inputs[0]
    masked = [tensor for tensor in node.inputs if walk.depends(tensor)]
    others = [tensor for tensor in node.inputs if not walk.depends(tensor)]
    if node.op not in {"Add", "Mul"} or len(masked) != 1 or walk.seen(masked[0]) != walk.seen(ask.tensor):
        return None
    if node.op == "Add":
        found, constant = picker.beyond(replace(ask, tensor=masked[0])), _per_channel(walk, ask, others[0])
        return None if found is None or constant is None else found.plus(walk, constant)
    if not _differs_by_channel(walk, ask, others[0]):
        return None
    factor = walk.branch.reshape(others[0], [-1])
    return picker.beyond(replace(ask, tensor=masked[0], wanted=rows.times(factor)))


def _per_channel(walk: Walk, ask: Ask, operand: gs.Tensor) -> gs.Tensor | None:
    """What is wanted of an operand that differs between channels only, if at all; else None."""
    if not operand.name:
        return operand
    return _wanted_of(walk, ask, operand) if _differs_by_channel(walk, ask, operand) else None


def _differs_by_channel(walk: Walk, ask: Ask, operand: gs.Tensor) -> bool:
    """Whether ``operand`` broadcasts against the asked tensor along every axis but that of the channels."""
    shape, rank = walk.seen(operand), len(walk.seen(ask.tensor))
    return all(size == 1 or i == ask.axis for i, size in enumerate(shape, start=rank - len(shape)))


def _wanted_of(walk: Walk, ask: Ask, values: gs.Tensor) -> gs.Tensor | None:
    """``[B, K, 1]`` of one value per channel, in any shape; a single value for all of them stays one, if it can."""
    size, rank = math.prod(walk.seen(values)), len(walk.seen(values))
    if size == walk.seen(ask.tensor)[ask.axis]:
        return ask.wanted.of_each(walk.branch.reshape(values, [-1, 1]))
    if size != 1 or isinstance(ask.wanted, Rows):
        return None
    return walk.branch.reshape(values, [1]) if rank > 3 else values


def pooling(picker: Picker, ask: Ask) -> Chosen | None:
    """All places to one, channel by channel; a mean or a sum also of weighted sums of channels."""
    call = _call(picker, ask)
    kind, reduced = _reduction(call)
    shape, result = call.shape(0), call.result()
    kept = [i for i in range(len(shape)) if i not in reduced or len(shape) == len(result)]
    axis = kept[ask.axis]
    whole = math.prod(result[1:]) == shape[axis] and not {0, axis} & set(reduced)
    if kind not in _POOLS or not whole or (isinstance(ask.wanted, Rows) and kind in {"ReduceMax", "ReduceMin"}):
        return None
    found = picker.beyond(replace(ask, tensor=call.node.inputs[0], axis=axis))
    if found is None:
        return None
    value = _pooled(picker.walk, kind, found, dtype_of(picker.walk, call.node.inputs[0]))
    return None if value is None else Chosen((value,), found.notes)


_POOLS = {
    "GlobalAveragePool": "ReduceMean",
    "GlobalMaxPool": "ReduceMax",
    "AveragePool": "ReduceMean",
    "MaxPool": "ReduceMax",
} | {kind: kind for kind in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")}


def _reduction(call: Call) -> tuple[str, tuple[int, ...]]:
    """The kind of reduction that the node is, and over which axes; nothing if it is none over all places."""
    spatial = tuple(range(2, len(call.shape(0))))
    if call.node.op in REDUCING:
        return str(call.node.op), call.axes() or ()
    if call.node.op in {"AveragePool", "MaxPool"}:
        steps = [*call.attr("pads", []), *(step - 1 for step in call.attr("dilations", []))]
        if tuple(call.attr("kernel_shape")) != call.static(0)[2:] or any(steps) or len(call.node.outputs) > 1:
            return "", ()
    return _POOLS[call.node.op], spatial


def _pooled(walk: Walk, kind: str, chosen: Chosen, dtype: np.dtype[np.generic]) -> gs.Tensor | None:
    """``[B, K, N]``: of places under every mask; or of the few cells that a mask changes, and the resting ones."""
    branch, stacker = walk.branch, walk.stacker
    if len(chosen.parts) == 1:
        return branch.reduce(kind, branch.reshape(chosen.parts[0], [0, 0, -1, stacker.count]), [2], keepdims=False)
    if kind in {"ReduceMax", "ReduceMin"}:
        return None if chosen.patches else branch.op(kind.removeprefix("Reduce"), *chosen.parts)
    more, resting = _changed(walk, chosen), _mean_rest(walk, chosen, dtype)
    cells: Size = len(chosen.patches.kinds) if chosen.patches else stacker.cells
    count = branch.constant(cells, dtype) if isinstance(cells, int) else branch.cast(cells, dtype)
    if kind == "ReduceMean":
        more = branch.op("Div", more, count)
        return more if resting is None else branch.op("Add", resting, more)
    return more if resting is None else branch.op("Add", branch.op("Mul", resting, count), more)


def _changed(walk: Walk, chosen: Chosen) -> gs.Tensor:
    """What each mask adds to the sum over resting cells, ``[B, K, N]``."""
    (own, rest), patches, windower = chosen.parts, chosen.patches, walk.stacker.windower
    if not _is_zero(rest):
        beneath = rest if patches is None else windower.gather(rest, patches.kinds[patches.pairs.cell], axis=2)
        own = walk.branch.op("Sub", own, beneath)
    if patches is None:
        return own
    masks, tables = gathered(patches.pairs.mask, np.arange(len(patches.pairs)))
    return windower.gather(windower.combined(own, tables, axis=2), np.argsort(masks), axis=2)


def _mean_rest(walk: Walk, chosen: Chosen, dtype: np.dtype[np.generic]) -> gs.Tensor | None:
    """The mean over resting cells, ``[B, K, 1]``; None for 0."""
    rest, patches = chosen.parts[1], chosen.patches
    if _is_zero(rest) or patches is None:
        return None if _is_zero(rest) else rest
    shares = np.bincount(patches.kinds) / len(patches.kinds)
    return walk.branch.op("MatMul", rest, walk.branch.constant(shares[:, None], dtype, hint="shares"))


def _is_zero(rest: gs.Tensor) -> bool:
    return isinstance(rest, gs.Constant) and not rest.values.any()


def _call(picker: Picker, ask: Ask) -> Call:
    """The asked tensor's node, to read its attributes and shapes."""
    return Call(picker.walk, ask.tensor.inputs[0], ())


PICKS: dict[str, Callable[[Picker, Ask], Chosen | None]] = {
    **dict.fromkeys(("Gemm", "MatMul", "Conv"), linear),
    **dict.fromkeys(PASSING, passing),
    **dict.fromkeys(REGROUPING, regrouping),
    "Transpose": transposing,
    **dict.fromkeys(ELEMENTWISE, elementwise),
    **dict.fromkeys(_POOLS, pooling),
}
"""The rule of each operator; others keep the choice behind them."""
