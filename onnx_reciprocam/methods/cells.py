"""A target's cells along one last axis, whatever its layout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.tokens import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch


END = int(np.iinfo(np.int64).max)
"""Where a slice stops that takes all that follows."""


def cells_last(
    branch: Branch, tensor: gs.Tensor, layout: str, shape: Sequence[int | None], *, directions: bool = False
) -> gs.Tensor:
    """The target, or a gradient by it, with channels before cells.

    Args:
        branch: Receives the nodes.
        tensor: Of the target's shape; with ``directions``, K more along a last axis.
        layout: The target's axes, as einops writes them, with ``b`` and ``c`` among them.
        shape: The target's lengths, None where dynamic.
        directions: Whether there is that axis.

    Returns:
        float32 ``[B, C, N]``, or ``[B, K, C, N]``; cells row by row, of tokens the patches alone.
    """
    labels = layout.split()
    cells = [i for i, label in enumerate(labels) if label in {"h", "w"} or span(label)]
    for axis in cells:
        if (around := span(labels[axis])) and any(around):
            tokens = shape[axis]
            end = -around[1] or END if tokens is None else tokens - around[1]
            tensor = branch.slice(tensor, around[0], end, axis)
    others = [i for i, label in enumerate(labels) if label != "b" and i not in cells]
    front = [labels.index("b"), *([len(labels)] if directions else [])]
    moved = branch.transpose(tensor, [*front, *others, *cells])
    channels = math.prod(size for i in others if (size := shape[i]) is not None)
    return branch.cast(branch.reshape(moved, [*([0] * len(front)), channels, -1]), np.float32)
