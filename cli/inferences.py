"""A progress bar on stderr for pictures, and a second one for the many runs that a black-box method makes of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


class Inferences:
    """Both bars; each shows only while there is more than one step to it."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._inner = bars.add_task("Inferences", visible=False)

    def of_picture(self, done: int, total: int) -> None:
        """Told by a black-box method how far it is."""
        self._bars.update(self._inner, completed=done, total=total, visible=1 < total != done)

    def track(self, items: Sequence[T]) -> Iterator[T]:
        """Hand out ``items``, and show how many are done."""
        task = self._bars.add_task("Explaining", total=len(items), visible=len(items) > 1)
        for item in items:
            yield item
            self._bars.advance(task)


@contextmanager
def inferences() -> Iterator[Inferences]:
    """Both bars for as long as the work takes; none where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield Inferences(bars)
