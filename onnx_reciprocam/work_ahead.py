"""Work on many items at once, handed back in order, with a bound on what is held."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 4
"""Pieces of work per thread that are taken from their source before the first is handed back."""


def in_order(work: Callable[[T], R], pieces: Iterable[T], threads: int) -> Generator[tuple[T, R], None, None]:
    """``(piece, work(piece))`` for each, in the order of ``pieces``.

    So many threads work; the source is read no further ahead than they need, and waits while the caller does. Whatever
    one raises is raised here, at its turn; what has not begun by then is left.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
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
