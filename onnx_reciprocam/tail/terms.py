"""What a tensor behind the target is under all masks at once, from narrow (cheap) to wide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes

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


Term = Shared | Spot | Stacked


@dataclass(frozen=True)
class Misfit:
    """A rule's answer when it does not apply, and why: the walk widens and goes on."""

    reason: str
