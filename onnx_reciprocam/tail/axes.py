"""Where the cells lie in a tensor: its axes as ordered factors, the way einops writes them.

``b c h w`` flattened over space is ``b c (h w)``; cut into windows it is ``b c h w h w`` with smaller factors. A
reshape only regroups factors and a transpose only permutes them, so the cells are followed, never guessed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = ("h", "w")
BATCH = "b"


@dataclass(frozen=True)
class Factor:
    """A run of steps along one logical axis.

    Args:
        label: ``b``, ``h``, ``w``, or anything else for what is neither batch nor space.
        size: Number of steps (as probed, where dynamic).
        stride: How far one step goes along the whole logical axis.
        origin: A tensor and one of its axes that is the whole logical axis, where that is known.
    """

    label: str
    size: int
    stride: int = 1
    origin: tuple[str, int] | None = field(default=None, compare=False)

    def split(self, major: int) -> tuple[Factor, Factor]:
        """The factor as ``major`` blocks of equal length: the walk over blocks, and the walk inside one."""
        minor = self.size // major
        outer = Factor(self.label, major, self.stride * minor, self.origin)
        return outer, Factor(self.label, minor, self.stride, self.origin)


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]


def axes_of(layout: str, shape: Sequence[int]) -> Axes:
    """The axes of a fresh tensor, ``axes_of("b c h w", (2, 512, 7, 7))``: one factor each."""
    return tuple((Factor(label, size),) for label, size in zip(layout.split(), shape, strict=True))


def is_cell(axis: Axis) -> bool:
    """Whether the axis runs over cells."""
    return any(factor.label in CELLS for factor in axis)


def is_batch(axis: Axis) -> bool:
    """Whether the axis runs over images."""
    return any(factor.label == BATCH for factor in axis)


def is_pure(axis: Axis) -> bool:
    """Whether the axis runs over one kind of thing: images, cells, or what is neither."""
    kinds = {"cells" if factor.label in CELLS else factor.label == BATCH for factor in axis if factor.size > 1}
    return len(kinds) <= 1


def cell_axes(axes: Axes) -> tuple[int, ...]:
    """Positions of the axes that run over cells."""
    return tuple(i for i, axis in enumerate(axes) if is_cell(axis))


def cell_factors(axes: Axes) -> list[Factor]:
    """The cell factors as they lie in memory."""
    return [factor for axis in axes for factor in axis if factor.label in CELLS]


def in_order(factors: Sequence[Factor]) -> list[int]:
    """Positions of ``factors`` in the order that counts cells row by row."""
    return sorted(range(len(factors)), key=lambda i: (CELLS.index(factors[i].label), -factors[i].stride))


def rest_shape(axes: Axes) -> tuple[int, ...]:
    """The shape of a value that is the same for every image and every cell: those axes have length 1."""
    return tuple(math.prod(f.size for f in axis if f.label not in (*CELLS, BATCH)) for axis in axes)


def permute(axes: Axes, perm: Sequence[int]) -> Axes:
    """The axes after a transpose."""
    return tuple(axes[i] for i in perm)


def regroup(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The axes after a reshape to ``shape``, or None if a new axis would cut across factors."""
    left = deque(factor for axis in axes for factor in axis)
    grouped = []
    for size in shape:
        axis = _take(left, size)
        if axis is None:
            return None
        grouped.append(axis)
    return None if any(factor.size > 1 for factor in left) else tuple(grouped)


def _take(left: deque[Factor], size: int) -> Axis | None:
    """Factors off the front of ``left`` whose product is ``size``; the last one may be split.

    Factors of length 1 move no value: they stay if they are an axis alone, and are dropped on the way to longer ones.
    """
    if size == 1:
        return (left.popleft(),) if left and left[0].size == 1 else ()
    axis = []
    while size > 1:
        if not left:
            return None
        factor = left.popleft()
        if factor.size == 1:
            continue
        if size % factor.size:
            if factor.size % size:
                return None
            factor, minor = factor.split(size)
            left.appendleft(minor)
        axis.append(factor)
        size //= factor.size
    return tuple(axis)


def resized(axes: Axes, shape: Sequence[int]) -> Axes | None:
    """The axes of a result that keeps every cell where it was and may change other lengths; None if it does not."""
    if len(axes) != len(shape):
        return None
    result = []
    for axis, size in zip(axes, shape, strict=True):
        same = math.prod(factor.size for factor in axis) == size
        if not same and is_cell(axis):
            return None
        result.append(axis if same else (Factor("", size),))
    return tuple(result)
