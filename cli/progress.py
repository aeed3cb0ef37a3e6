"""How far a long run is: a bar where there is a terminal, a line of JSON now and then where there is none."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from onnx_reciprocam.dataset import Tally

_EVERY = 10.0
"""Seconds between two lines."""


@contextmanager
def watched(*, quiet: bool) -> Iterator[Callable[[Tally], None]]:
    """What to call with the tally, as often as it changes."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _tally: None
    elif console.is_terminal:
        with _bar(console) as show:
            yield show
    else:
        yield _Lines().show


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[Tally], None]]:
    columns = (
        TextColumn("Explaining"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
    )
    with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bars:
        task = bars.add_task("", total=None, rate="", failed="")

        def show(tally: Tally) -> None:
            rate = f"{tally.done / tally.seconds:,.1f}/s" if tally.seconds else ""
            failed = f"{tally.failed:,} failed" if tally.failed else ""
            bars.update(task, completed=tally.earlier + tally.done, total=tally.total, rate=rate, failed=failed)

        yield show


class _Lines:
    """JSON on stderr: what a log collector takes."""

    def __init__(self) -> None:
        self._next, self._last = 0.0, -1

    def show(self, tally: Tally) -> None:
        """A line, unless the last one is fresh; always one at the end."""
        done = tally.earlier + tally.done
        if done == self._last or (time.monotonic() < self._next and done != tally.total):
            return
        self._last = done
        self._next = time.monotonic() + _EVERY
        rate = tally.done / tally.seconds if tally.seconds else None
        left = None if tally.total is None or not rate else (tally.total - done) / rate
        facts = {
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "done": done,
            "total": tally.total,
            "failed": tally.failed,
            "per_second": rate and round(rate, 2),
            "seconds_left": left and round(left),
        }
        print(json.dumps(facts), file=sys.stderr, flush=True)  # noqa: T201 - this is the log
