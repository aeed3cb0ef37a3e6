"""A worker as its parent sees it."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.serving import totals
from onnx_reciprocam.serving.worker import work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from onnx_reciprocam.serving.settings import Settings

_LAST_BREATH = 5.0
"""Seconds that a process may go on once it has fallen silent."""


class Place:
    """The place of a worker, held by one process after another.

    Args:
        number: From 1 on.
        named, settings: What every worker serves, and its limits.

    Attributes:
        process: Who holds it.
        ear: Where that process is heard; at its end once it is dead.
        state: What was heard last: nothing yet, how far it is, or what it serves.
        why: What it said of its end.
        failures: Processes in a row that never served.
    """

    process: SpawnProcess
    ear: Connection

    def __init__(self, number: int, named: Mapping[str, Path], settings: Settings) -> None:
        self.number, self._given = number, (named, settings)
        self.state: Any = None
        self.why = ""
        self.failures = 0
        self.is_filled = False

    @property
    def serves(self) -> bool:
        """Whether its process listens, as far as it was heard."""
        return isinstance(self.state, dict)

    def fill(self) -> None:
        """With a new process, which Ctrl-C at the terminal does not reach: when it ends is its parent's to say."""
        if self.is_filled:
            self.ear.close()
        self.state, self.why = None, ""
        spawn = multiprocessing.get_context("spawn")
        self.ear, mouth = spawn.Pipe()
        arguments, name = (self.number, *self._given, mouth), totals.name_of(self.number)
        self.process = spawn.Process(target=work, args=arguments, name=name, daemon=True)
        resource_tracker.ensure_running()  # which lets SIGINT through again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            mouth.close()
        self.is_filled = True

    def ended(self) -> dict[str, Any]:
        """Which process has ended, and how."""
        self.process.join(_LAST_BREATH)
        self.process.kill()
        self.process.join()
        code = self.process.exitcode or 0
        how = {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
        return {"worker": self.number, "pid": self.process.pid, **how, **({"error": self.why} if self.why else {})}
