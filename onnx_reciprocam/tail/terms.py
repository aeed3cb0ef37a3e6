"""What a tensor behind the target is under all masks at once, from narrow (cheap) to wide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Pairs

StaticShape = tuple[int | None, ...]


@dataclass(frozen=True)
class Shared:
    """The same under every mask: the original tensor, no new node."""

    tensor: gs.Tensor


@dataclass(frozen=True)
class Spot:
    """Under mask n, cell n has ``own[n]`` and every other cell has ``rest``: all masks for the price of one copy.

    Args:
        own: Shaped as the original tensor.
        rest: A constant vector, length 1 along the batch and the cells (:func:`~.axes.rest_shape`).
        axes: Where the cells are in ``own``.
    """

    own: gs.Tensor
    rest: NDArray[np.generic]
    axes: Axes


@dataclass(frozen=True, eq=False)
class Window:
    """Under mask n some cells differ from ``rest``, a map that no mask changes: only those are computed, in a flat list.

    Args:
        own: ``[B, P, *others]``: what each pair of (mask, cell) has. ``others`` are the lengths that run over neither
            images nor cells, in the order of the original axes.
        rest: The background: the original's shape for one image, a constant.
        pairs: Which P pairs.
        axes: The original's axes; height and width stand anywhere.
    """

    own: gs.Tensor
    rest: NDArray[np.generic]
    pairs: Pairs
    axes: Axes


@dataclass(frozen=True, eq=False)
class Part:
    """Some tokens of a tensor: shaped as the original, but for the length of its token axis.

    Args:
        make: Emits the nodes that compute it, or folds them to an array. Called when first read, so a part that nobody
            reads costs nothing.
        each: Whether every mask has its own: then the token axis is N times as long, the masks before the tokens.
        constant: Whether it is an array, of length 1 along the batch.
        origin: The original tensor, all its tokens, where this part has what that one has.
    """

    make: Callable[[], gs.Tensor | NDArray[np.generic]]
    each: bool = False
    constant: bool = False
    origin: gs.Tensor | None = None

    @cached_property
    def value(self) -> gs.Tensor | NDArray[np.generic]:
        """What :attr:`make` makes, made once."""
        return self.make()


@dataclass(frozen=True, eq=False)
class Tokens:
    """Under mask n only L of N patch tokens are live: auxiliary tokens, the live ones and the resting ones, apart.

    Args:
        parts: ``aux`` (class, distillation and register tokens; absent if there are none), ``own`` (the live ones) and
            ``rest`` (one of the other N - L, which are all equal).
        axes: The original's axes; the factor ``t`` runs over its tokens.
        before, after: How many auxiliary tokens stand on either side of the patches.
        keys: Likewise along the factor ``k`` of attention scores, which runs over keys: there every part has all
            auxiliary ones, the live and one resting key, in this order. None where there is no such axis.
        cells: Where the live ones stand under each mask, ``[N, L]``; None where each mask has its own cell alone.
    """

    parts: Mapping[str, Part]
    axes: Axes
    before: int
    after: int
    keys: tuple[int, int] | None = None
    cells: NDArray[np.int64] | None = None

    @property
    def live(self) -> int:
        """L."""
        return 1 if self.cells is None else self.cells.shape[1]

    @property
    def kinds_of_keys(self) -> int:
        """How many keys each query is scored with: the auxiliary ones, the live ones and one that rests."""
        return sum(self.keys or ()) + self.live + 1


@dataclass(frozen=True)
class Stacked:
    """Multiplied out: one copy per mask.

    Args:
        value: The original tensor's shape with an axis of length N added, the masks in row-major order of the cells.
        axis: Where that axis is; None if it was merged, mask-major, with axis 0: ``[N * B, ...]``.
        shape: Lengths of one copy, None where dynamic.
    """

    value: gs.Tensor
    axis: int | None
    shape: StaticShape


Term = Shared | Spot | Tokens | Window | Stacked


@dataclass(frozen=True)
class Misfit:
    """A rule's answer when it does not apply, and why: the walk widens and goes on."""

    reason: str
