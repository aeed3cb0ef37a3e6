"""Parts of a data set explained in lots, handed back in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.worker import Lot
from onnx_reciprocam.work_ahead import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from onnx_reciprocam.dataset.parts import Part
    from onnx_reciprocam.dataset.rows import Row
    from onnx_reciprocam.dataset.worker import Worker


def explain_parts(
    worker: Worker, parts: Iterable[Part], batch_size: int, threads: int, tell: Callable[[list[Row]], object]
) -> Iterator[tuple[Part, list[Row]]]:
    """The rows of each part, in order.

    Args:
        worker: Explains.
        parts: What.
        batch_size: Pictures per run.
        threads: How many runs at once.
        tell: Handed the rows of each run as they come.
    """
    begun: deque[Part] = deque()

    def lots() -> Iterator[Lot]:
        for part in parts:
            begun.append(part)
            yield from lots_of(part, batch_size)

    rows: list[Row] = []
    for _, found in in_order(worker.explain, lots(), threads):
        rows += found
        tell(found)
        if len(rows) == len(begun[0].items):
            yield begun.popleft(), rows
            rows = []


def lots_of(part: Part, batch_size: int) -> Iterator[Lot]:
    """A part in pieces of one run each; which picture is in which never depends on who explains it, or when."""
    for first in range(0, len(part.items), batch_size):
        yield Lot(part.index, first, part.items[first : first + batch_size])
