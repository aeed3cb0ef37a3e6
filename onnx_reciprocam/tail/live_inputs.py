"""The first linear layer behind a flattened map (VGG, AlexNet, LeNet): only the inputs of the live cell are multiplied.

A flattened map lays cells and channels along one axis, ``b (c h w)``. Under mask n the layer's answer is what it says to a
resting map plus what the live cell adds, ``W rest + b + W_n (own_n - rest)`` with ``W_n`` the columns of cell n. Over all
masks each weight is used once: the price of one plain layer, not of N.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnx_reciprocam.tail.axes import Axes, cell_factors, in_order, is_batch, is_cell
from onnx_reciprocam.tail.fold import run_node
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.call import Call


class Places(NamedTuple):
    """A flattened axis: lengths before the cells, of the cells, and behind them."""

    before: int
    cells: int
    behind: int


def is_flattened(axes: Axes) -> bool:
    """Whether these are images, each a row that runs over cells (and channels, if there are several)."""
    return len(axes) == 2 and is_cell(axes[1]) and not is_cell(axes[0]) and not is_batch(axes[1])


def live_inputs(call: Call) -> list[Stacked] | Misfit:
    """Gemm or MatMul on a flattened ``Spot``, ``[N, B, classes]``."""
    spot = call.terms[0]
    if not isinstance(spot, Spot) or not call.only_first() or len(call.shape(1)) != 2 or call.attr("transA", 0):
        return Misfit("its weights depend on the mask")
    places = places_of(spot.axes)
    if places is None or not isinstance(call.stacker.count, int):
        return Misfit("its inputs do not lie cell by cell")
    weights = call.constant(1)
    resting = _resting(call, spot, places)
    if weights is None or isinstance(resting, Misfit):
        return resting if isinstance(resting, Misfit) else Misfit("its weights are no constant")
    cells, weights_of = _live(call, spot, places), columns(call, places)
    live = call.branch.op("MatMul", call.stacker.of_masks(cells, 0), call.stacker.of_masks(weights_of, 0))
    if (alpha := call.attr("alpha", 1.0)) != 1.0:
        live = call.branch.op("Mul", live, call.branch.constant(alpha, weights.dtype))
    call.walk.reordered[call.node.outputs[0].name] = weights.nbytes
    return call.stacked([live if resting is None else call.branch.op("Add", live, resting)], 0)


def places_of(axes: Axes) -> Places | None:
    """How the second axis is laid out, or None if the cells do not stand together in row-major order."""
    axis = axes[1]
    where = [i for i, factor in enumerate(axis) if is_cell((factor,))]
    factors = cell_factors(axes)
    together = where == list(range(where[0], where[-1] + 1))
    if not together or in_order(factors) != list(range(len(factors))):
        return None
    sizes = [factor.size for factor in axis]
    return Places(
        *(math.prod(part) for part in (sizes[: where[0]], sizes[where[0] : where[-1] + 1], sizes[where[-1] + 1 :]))
    )


def _live(call: Call, spot: Spot, places: Places) -> gs.Tensor:
    """``own - rest`` cell by cell, ``[N, B, C]``."""
    branch, channels = call.branch, places.before * places.behind
    own: gs.Tensor = branch.reshape(spot.own, [-1, *places])
    if spot.rest.any():
        rest = spot.rest.reshape(1, places.before, 1, places.behind)
        own = branch.op("Sub", own, branch.constant(rest, rest.dtype, hint="rest"))
    return branch.reshape(branch.transpose(own, [2, 0, 1, 3]), [places.cells, -1, channels])


def columns(call: Call, places: Places) -> gs.Tensor:
    """The layer's weights cell by cell, ``[N, C, classes]``: reordered by nodes, which the runtime folds as it loads."""
    return _moved(call, places, ("cells", "before", "behind", "classes"), [places.cells, _channels(places), -1])


def weights_by_cell(call: Call, places: Places) -> gs.Tensor:
    """The same turned, ``[N, classes, C]``: for products with few columns, which the runtime then need not repack."""
    return _moved(call, places, ("cells", "classes", "before", "behind"), [places.cells, -1, _channels(places)])


def _moved(call: Call, places: Places, order: Sequence[str], lengths: Sequence[int]) -> gs.Tensor:
    """The weights with their axes in this order, joined to ``lengths``; each Reshape is a copy while the runtime folds."""
    axes = {"classes": -1, **places._asdict()} if call.attr("transB", 0) else {**places._asdict(), "classes": -1}
    unit = "behind" if places.behind == 1 else "before" if places.before == 1 else None
    names = [name for name in axes if name != unit]
    split = call.branch.reshape(call.node.inputs[1], [axes[name] for name in names])
    moved = call.branch.transpose(split, [names.index(name) for name in order if name != unit])
    return moved if unit else call.branch.reshape(moved, lengths)


def _channels(places: Places) -> int:
    return places.before * places.behind


def _resting(call: Call, spot: Spot, places: Places) -> gs.Tensor | Misfit | None:
    """What the layer says to a map of resting cells alone: its bias, where they rest at zero."""
    bias = call.node.inputs[2] if len(call.node.inputs) > 2 and call.node.inputs[2].name else None
    if not spot.rest.any():
        if bias is None or call.attr("beta", 1.0) == 1.0:
            return bias
        factor = call.branch.constant(call.attr("beta"), spot.rest.dtype)
        return call.branch.op("Mul", bias, factor)
    values = [call.constant(i) for i in range(len(call.node.inputs))]
    if any(value is None and isinstance(term, Shared) for value, term in zip(values, call.terms, strict=True)):
        return Misfit("its bias is no constant")
    rest = spot.rest.reshape(places.before, 1, places.behind)
    values[0] = np.broadcast_to(rest, places).reshape(1, -1)
    answer = run_node(call.walk.model, call.node, values)[0]
    return call.branch.constant(answer, answer.dtype, hint="resting")
