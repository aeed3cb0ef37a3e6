"""One node of the tail as a rule for ``Window`` sees it: every masked input is a ``Window``."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from onnx_reciprocam.tail.axes import is_batch, is_cell
from onnx_reciprocam.tail.call import Call
from onnx_reciprocam.tail.registry import BIASED, WINDOW, carries, operator
from onnx_reciprocam.tail.terms import Misfit, Spot, Window
from onnx_reciprocam.tail.windowing import batch_axis, map_axes, one_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Pairs
    from onnx_reciprocam.tail.terms import Term
    from onnx_reciprocam.tail.windowing import Windower


R = TypeVar("R", bound="Callable[[WindowCall], Term | Sequence[Term] | Misfit]")


class WindowCall(Call):
    """A call whose ``Spot`` inputs have become windows of one cell."""

    @property
    def windower(self) -> Windower:
        """Makes and converts windows."""
        return self.stacker.windower

    @property
    def windows(self) -> list[Window]:
        """The inputs that are ``Window``."""
        return [term for term in self.terms if isinstance(term, Window)]

    @property
    def window(self) -> Window:
        """The first input, if it alone depends on the mask (see :meth:`only_first`)."""
        return self.windows[0]

    def answer(self, own: gs.Tensor, axes: Axes, pairs: Pairs | None = None) -> list[Window] | Misfit:
        """The one output, its background folded."""
        rests = self.fold()
        return rests if isinstance(rests, Misfit) else self.answers([own], rests, [axes], pairs)

    def answers(
        self,
        owns: Sequence[gs.Tensor],
        rests: Sequence[NDArray[np.generic]],
        axes: Sequence[Axes],
        pairs: Pairs | None = None,
    ) -> list[Window] | Misfit:
        """The outputs with their backgrounds."""
        windows = []
        for own, rest, places in zip(owns, rests, axes, strict=True):
            try:
                fitted = np.broadcast_to(rest, one_image(places))
            except ValueError:
                return Misfit("it treats images of a batch differently")
            windows.append(Window(own, fitted, self.windows[0].pairs if pairs is None else pairs, places))
        return windows


def column(axes: Axes, axis: int) -> int:
    """Where an axis that runs over neither images nor cells stands in ``Window.own``."""
    return 2 + sum(not is_cell(other) and not is_batch(other) for other in axes[:axis])


def carries_windows(*ops: str) -> Callable[[R], R]:
    """Register a rule for windows on a map; what comes as ``Spot`` is turned into one first."""

    def register(rule: R) -> R:
        @wraps(rule)
        def on_windows(call: Call) -> Term | Sequence[Term] | Misfit:
            terms: list[Term | None] = []
            for term in call.terms:
                window = call.stacker.windower.of(term) if isinstance(term, Spot) else term
                if isinstance(window, Misfit):
                    return window
                terms.append(window)
            return rule(WindowCall(call.walk, call.node, terms))

        carries(WINDOW, *ops)(on_windows)
        return rule

    return register


def on_map(window: Window) -> bool:
    """Whether height, width and images have an axis each."""
    return map_axes(window.axes) is not None and batch_axis(window.axes) is not None


def operand(call: WindowCall, i: int, pairs: Pairs, axes: Axes) -> gs.Tensor | None:
    """Input ``i``, which no mask changes, made to broadcast against ``own`` of a result with these axes; None if it cannot."""
    branch, tensor = call.branch, call.node.inputs[i]
    if not tensor.name or not call.shape(i) or operator(call.node) in BIASED:
        return tensor
    shape = call.shape(i)
    full = (1,) * (len(axes) - len(shape)) + tuple(shape)
    down, right, images = (*(map_axes(axes) or (0, 0)), batch_axis(axes) or 0)
    if len(full) > len(axes) or full[images] != 1:
        return None
    behind = [size for place, size in enumerate(full) if place not in {down, right, images}]
    if full[down] == full[right] == 1:
        return branch.reshape(tensor, [1, 1, *behind])
    row, col = np.divmod(pairs.cell, pairs.width)
    cells = row * (full[down] > 1) * full[right] + col * (full[right] > 1)
    order = [images, down, right, *(place for place in range(len(axes)) if place not in {down, right, images})]
    moved = branch.transpose(branch.reshape(tensor, full), order)
    return call.windower.gather(branch.reshape(moved, [1, full[down] * full[right], *behind]), cells)


def difference(call: WindowCall, window: Window) -> gs.Tensor:
    """What the pairs have more than the background, ``[B, P, *others]``."""
    if not window.rest.any():
        return window.own
    return call.branch.op("Sub", window.own, call.windower.resting(window, window.pairs.cell))
