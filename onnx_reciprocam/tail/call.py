"""One node of the tail as its rule sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_reciprocam.tail.fold import run_node
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Stacked, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Branch
    from onnx_reciprocam.tail.stacking import Stacker
    from onnx_reciprocam.tail.terms import StaticShape, Term
    from onnx_reciprocam.tail.walk import Walk


class Call:
    """A node, the terms of its inputs, and the means to answer with terms of its outputs.

    Args:
        walk: The walk that came to the node.
        node: Its operator and attributes are what a rule replays.
        terms: One per input, None for an omitted optional one.
    """

    def __init__(self, walk: Walk, node: gs.Node, terms: Sequence[Term | None]) -> None:
        self.walk, self.node, self.terms = walk, node, terms

    @property
    def branch(self) -> Branch:
        """Where new nodes go."""
        return self.walk.branch

    @property
    def stacker(self) -> Stacker:
        """Widens terms and moves their mask axis."""
        return self.walk.stacker

    # what the node says --------------------------------------------------------------------------------------------

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or ``default`` if it is not written."""
        return self.node.attrs.get(name, default)

    def constant(self, i: int) -> NDArray[np.generic] | None:
        """The value of input ``i`` if it is there and no input of the model changes it."""
        if i >= len(self.node.inputs) or not self.node.inputs[i].name:
            return None
        return self.walk.model.constant(self.node.inputs[i])

    def axes(self) -> tuple[int, ...] | None:
        """The axes of a reduction, not negative: attribute or constant input; all if none; None if unknown."""
        rank = len(self.shape(0))
        axes = self.attr("axes")
        if axes is None and len(self.node.inputs) > 1 and self.node.inputs[1].name:
            values = self.constant(1)
            if values is None:
                return None
            axes = values.ravel().tolist()
        if not axes:
            return () if self.attr("noop_with_empty_axes", 0) else tuple(range(rank))
        return tuple(sorted(axis % rank for axis in axes))

    def shape(self, i: int) -> tuple[int, ...]:
        """The shape of input ``i`` as probed."""
        return self.walk.seen(self.node.inputs[i])

    def static(self, i: int) -> StaticShape:
        """The shape of input ``i``, None where dynamic."""
        return self.walk.static(self.node.inputs[i])

    def result(self, i: int = 0) -> tuple[int, ...]:
        """The shape of output ``i`` as probed."""
        return self.walk.seen(self.node.outputs[i])

    def static_result(self, i: int = 0) -> StaticShape:
        """The shape of output ``i``, None where dynamic."""
        return self.walk.static(self.node.outputs[i])

    # what a rule answers with ---------------------------------------------------------------------------------------

    def replay(self, *inputs: gs.Tensor, **attrs: Any) -> list[gs.Variable]:
        """The node once more on other inputs, with some attributes replaced."""
        merged = {**self.node.attrs, **attrs}
        return self.branch.emit(
            self.node.op, inputs, outputs=len(self.node.outputs), domain=self.node.domain or "", **merged
        )

    def replay_with(self, value: gs.Tensor, **attrs: Any) -> list[gs.Variable]:
        """The node once more with ``value`` in place of its first input."""
        return self.replay(value, *self.node.inputs[1:], **attrs)

    def stacked(self, values: Sequence[gs.Tensor], axis: int | None) -> list[Stacked]:
        """Terms of the outputs, the mask axis at ``axis`` of each."""
        return [Stacked(value, axis, self.static_result(i)) for i, value in enumerate(values) if self._used(i)]

    def _used(self, i: int) -> bool:
        return bool(self.node.outputs[i].name)

    def fold(self) -> list[NDArray[np.generic]] | Misfit:
        """The node run now on the rest vectors; the other inputs must be constants."""
        values: list[NDArray[np.generic] | None] = []
        for i, term in enumerate(self.terms):
            value = term.rest if isinstance(term, Spot | Window) else None if term is None else self.constant(i)
            if value is None and term is not None:
                return Misfit("the image decides what it does to the masked cells")
            values.append(value)
        return run_node(self.walk.model, self.node, values)

    def spend(self, multiply_adds: int) -> None:
        """Say what the nodes emitted for it cost, where that is not one plain run or one per mask."""
        self.walk.spent[self.node.outputs[0].name] = multiply_adds

    @property
    def spots(self) -> list[Spot]:
        """The inputs that are ``Spot``."""
        return [term for term in self.terms if isinstance(term, Spot)]

    def only_first(self) -> bool:
        """Whether no input but the first depends on the mask."""
        return all(term is None or isinstance(term, Shared) for term in self.terms[1:])

    def stack(self, i: int) -> Stacked:
        """Input ``i`` with one copy per mask."""
        term = self.terms[i]
        if term is None:
            raise IndexError(i)
        return self.stacker.stack(term, self.static(i))
