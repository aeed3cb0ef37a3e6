"""Work on many items at once, handed back in order, with a bound on what is held."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from onnx_reciprocam.dataset.worker import Lot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from onnx_reciprocam.dataset.parts import Part
    from onnx_reciprocam.dataset.rows import Row
    from onnx_reciprocam.dataset.worker import Worker

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4
"""Pieces of work per thread that are taken from their source before the first is handed back."""


def in_order(work: Callable[[T], R], pieces: Iterable[T], threads: int) -> Iterator[tuple[T, R]]:
    """``(piece, work(piece))`` for each, in the order of ``pieces``.

    So many threads work; the source is read no further ahead than they need, and waits while the caller does. Whatever
    one raises is raised here, at its turn; what has not begun by then is left.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="explain")
    try:
        for piece in pieces:
            waiting.append((piece, pool.submit(work, piece)))
            if len(waiting) >= _AHEAD * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


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
