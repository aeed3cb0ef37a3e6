"""``--max-memory``: the cells in as many chunks as it takes to stay below a limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeVar

from onnx_reciprocam.errors import OptionError, UnsupportedModelError
from onnx_reciprocam.tail.chunks import chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx_reciprocam.rewriter.network import Target

    S = TypeVar("S", bound="Sized")


class Sized(Protocol):
    """An explanation whose memory is known, in bytes."""

    @property
    def memory(self) -> int:
        """What it takes."""


def check_open(target: Target) -> None:
    """Refuse a grid whose size no limit holds for.

    Raises:
        UnsupportedModelError: Only a run tells how many cells there are.
    """
    if None in target.grid:
        raise UnsupportedModelError(
            "--max-memory needs a grid that is known when the file is rewritten, and here the image's size decides it",
            "Export with fixed height and width.",
        )


def within(limit: int, grid: tuple[int, int], whole: S, cut: Callable[[Sequence[range]], S]) -> S:
    """The explanation in as few chunks of cells as fit.

    Args:
        limit: Bytes.
        grid: Height and width in cells.
        whole: All of them at once, which takes more than ``limit``.
        cut: Explains some cells after others.

    Raises:
        OptionError: One cell at a time takes more than ``limit``.
    """
    size, memory = math.prod(grid), whole.memory
    least = cut(_middle(*grid)).memory
    while size > 1 and least <= limit:
        share = (limit - least) / (memory - least)  # memory grows about evenly with the cells
        size = max(1, min(size - 1, 1 + int(share * (size - 1))))
        found = cut(chunks(math.prod(grid), size))
        if found.memory <= limit:
            return found
        memory = found.memory
    needed = _spelled(max(least, memory if size == 1 else 0))
    raise OptionError("--max-memory", _spelled(limit), (f"at least {needed}, which this target takes cell by cell",))


def _middle(height: int, width: int) -> list[range]:
    """At most 4x4 cells, one after the other: first and last among them meet every weight, strides or not."""
    rows, columns = (range(max(side // 2 - 2, 0), min(side // 2 + 2, side)) for side in (height, width))
    cells = [row * width + column for row in rows for column in columns]
    return [range(cell, cell + 1) for cell in cells]


def _spelled(size: int) -> str:
    """As the option takes it, rounded up."""
    return f"{math.ceil(size / 1e6)}MB" if size >= 1e6 else f"{math.ceil(size / 1e3)}kB"
