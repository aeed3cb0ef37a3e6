"""Late class choice: the scores of the wanted classes, without computing the others.

A map needs one row of the last linear layer, not a thousand. The choice is pushed backwards through what treats classes
one by one (:mod:`~.pick_rules`) until it meets the layer's weights. From there on, what is wanted are weighted sums of
channels instead of single ones (:mod:`~.pick_wanted`), which go back further as long as all is linear: through pools, and
through a second layer. Where that ends, the sums are taken of the tensor's term (:mod:`~.pick_leaves`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.pick_leaves import Ask, Chosen, narrow, stacked
from onnx_reciprocam.tail.pick_rules import PICKS
from onnx_reciprocam.tail.pick_wanted import Classes, Rows, choose
from onnx_reciprocam.tail.registry import operator

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.walk import Walk

__all__ = ["all_classes", "choose", "pick"]


def pick(walk: Walk, tensor: gs.Tensor, ids: gs.Tensor) -> gs.Tensor:
    """The chosen classes' scores under every mask.

    Args:
        walk: Knows the terms.
        tensor: ``[B, classes]``, or with further axes of length 1.
        ids: The classes of each image, int64 ``[B, K]``.

    Returns:
        ``[B, K, N]``.
    """
    shape = walk.seen(tensor)
    axis = next((i for i in range(1, len(shape)) if shape[i] != 1), 1)
    chosen = _Picker(walk).answer(Ask(tensor, axis, Classes(walk, ids)))
    if chosen is None:
        return choose(walk, all_classes(walk, tensor), ids, int(np.prod(shape[1:])))
    walk.notes.extend(chosen.notes)
    return chosen.parts[0]


def all_classes(walk: Walk, tensor: gs.Tensor) -> gs.Tensor:
    """The scores of every class under every mask, ``[B, classes, N]``."""
    term = walk.stacker.stack(walk.term(tensor), walk.static(tensor))
    value = walk.stacker.last(term)
    batch, *rest = walk.static(tensor)
    if len(rest) == 1:
        return value
    classes = int(np.prod([size or 1 for size in rest]))
    return walk.branch.reshape(value, [-1 if batch is None else batch, classes, walk.stacker.count])


class _Picker:
    """Answers the questions of the rules, each once.

    What turns out not to be needed stays in the branch without a reader, and is dropped with all such nodes.
    """

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self._known: dict[tuple[str, int, Classes | Rows], Chosen | None] = {}

    def beyond(self, ask: Ask) -> Chosen | None:
        """Answer if pushing the choice further back than ``ask.tensor``, or reading a narrow term there, saves anything."""
        key = ask.tensor.name, ask.axis, ask.wanted
        if key not in self._known:
            self._known[key] = self._by_rule(ask) or narrow(self.walk, ask)
        return self._known[key]

    def answer(self, ask: Ask) -> Chosen | None:
        """Answer in any case, unless the walk does better on its own."""
        return self.beyond(ask) or stacked(self.walk, ask)

    def _by_rule(self, ask: Ask) -> Chosen | None:
        if self.walk.is_given(ask.tensor) or not self.walk.depends(ask.tensor):
            return None
        rule = PICKS.get(operator(ask.tensor.inputs[0]))
        return rule(self, ask) if rule else None
