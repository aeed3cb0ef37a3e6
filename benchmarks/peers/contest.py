"""Contestants in processes of their own that take turns: this side of the pipes; ``workers/turns.py`` is the other."""

from __future__ import annotations

import json
import random
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from onnx_reciprocam.timings import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

WORKERS = Path(__file__).parent / "workers"
PAUSE = 0.01
"""Seconds between turns, until the threads of the last one sleep."""


@dataclass(frozen=True)
class Entry:
    """One contestant.

    Args:
        system: Whose it is; its rivals are compared with the variant ``plain`` of the same system.
        variant: ``plain`` or what it adds to that.
        python: The interpreter of its environment.
        worker: The script in ``workers/`` that runs it.
        task: What the script is told.
        facts: What else is known of it, by column.
        once: It takes minutes: run it a single time, in the first round that counts.
        failed: Why it cannot even enter.
    """

    system: str
    variant: str
    python: Path
    worker: str
    task: Mapping[str, object]
    facts: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    failed: str = ""


Outcome = Variant | str
"""Times and memory, or why there are none."""


def race(entries: Sequence[Entry], rounds: int, warmup: int) -> list[Outcome]:
    """Run all entries that can run, each once per round, the rounds in different orders.

    Args:
        entries: The contestants.
        rounds: That count.
        warmup: Rounds before those.

    Returns:
        What came of each entry, in their order.
    """
    with ExitStack() as stack:
        runners = [_Runner(entry, None if entry.failed else stack.enter_context(Worker(entry))) for entry in entries]
        order = random.Random(0)  # noqa: S311 - any order will do, the same in every run
        for done in range(warmup + rounds):
            for runner in order.sample(runners, len(runners)):
                if done == warmup or not runner.entry.once:
                    runner.turn(counts=done >= warmup)
        return [runner.outcome() for runner in runners]


def ask(python: Path, worker: str, task: Mapping[str, object]) -> dict[str, Any]:
    """The one answer of a worker that is asked for nothing but its task."""
    with Worker(Entry("", "", python, worker, task)) as asked:
        return asked.first


class _Runner:
    """An entry, its process, and what it has done so far."""

    def __init__(self, entry: Entry, worker: Worker | None) -> None:
        self.entry, self._worker = entry, worker
        self._failed = worker.first["failed"] if worker else entry.failed
        self._milliseconds: list[float] = []

    def turn(self, *, counts: bool) -> None:
        if self._worker is None or self._failed:
            return
        answer = self._worker.turn()
        self._failed = answer.get("failed", "")
        if counts and not self._failed:
            self._milliseconds.append(answer["ms"])

    def outcome(self) -> Outcome:
        if self._worker is None or self._failed:
            return str(self._failed)
        return Variant(self.entry.variant, tuple(self._milliseconds), self._worker.peak())


class Worker:
    """The process of an entry, started and ready as soon as it is entered; ``first`` is what it answered then."""

    first: dict[str, Any]

    def __init__(self, entry: Entry) -> None:
        # what takes minutes is not run before it counts
        task = json.dumps({"variant": entry.variant, "unmeasured": 0 if entry.once else 2} | dict(entry.task))
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - a script of ours
            [entry.python, WORKERS / entry.worker, task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def __enter__(self) -> Self:
        self.first = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its stdin, which ends it
        self._complaints.close()

    def turn(self) -> dict[str, Any]:
        """Have it run once; ``ms`` is how long that took, ``failed`` why it did not."""
        print("run", file=cast("IO[str]", self._process.stdin), flush=True)
        answer = self._answer()
        time.sleep(PAUSE)
        return answer

    def peak(self) -> float | None:
        """Most memory that the process held so far, in MB (10^6 bytes); None where the system is not Linux."""
        status = Path(f"/proc/{self._process.pid}/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
        return int(found[1]) * 1024 / 1e6 if found else None

    def _answer(self) -> dict[str, Any]:
        if line := cast("IO[str]", self._process.stdout).readline():
            return dict(json.loads(line))
        code = self._process.wait()
        self._complaints.seek(0)
        last = (self._complaints.read().strip().splitlines() or ["it ended without a word"])[-1]
        return {"failed": f"killed (signal {-code})" if code < 0 else last}
