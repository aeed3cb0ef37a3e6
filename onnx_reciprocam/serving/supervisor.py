"""A service of several workers on the same ports, among which the kernel deals new connections out.

A worker that dies is replaced; one that dies again and again before it serves ends the service.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import ReciprocamError, WorkerError
from onnx_reciprocam.serving import totals
from onnx_reciprocam.serving.listening import reserved_ports
from onnx_reciprocam.serving.logs import log
from onnx_reciprocam.serving.place import Place
from onnx_reciprocam.serving.signals import captured
from onnx_reciprocam.serving.worker import LISTEN, LOADED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from onnx_reciprocam.serving.settings import Settings

_TRIES = 5
"""Starts in a row that a worker may fail at."""

_BEAT = 0.2
"""Seconds between two looks at the signals."""

_AFTER_GRACE = 5.0
"""Seconds that a worker has beyond the grace that it gives its requests."""


def supervise(named: Mapping[str, Path], settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
    """Keep ``settings.workers`` processes alive until SIGTERM or SIGINT, and let them finish then.

    Args:
        named: Files by the names of the models.
        settings: Of every worker.
        ready: Told what is served, once all workers listen.

    Raises:
        ReciprocamError: A file cannot be served, the address not be used, or a worker not be kept alive.
    """
    with reserved_ports(settings) as known, totals.folder():
        supervisor = _Supervisor(named, known, ready)
        with captured(supervisor.note):
            supervisor.run()


class _Supervisor:
    def __init__(self, named: Mapping[str, Path], settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
        self._places = [Place(1 + i, named, settings) for i in range(settings.workers)]
        self._grace, self._ready = settings.grace, ready
        self._signals: list[int] = []
        self._serving = False

    def note(self, number: int, _frame: object) -> None:
        """A signal."""
        self._signals.append(number)

    def run(self) -> None:
        """Until a signal arrives, or a worker cannot be kept alive."""
        try:
            for place in self._places:
                place.fill()
            while not self._signals:
                heard = connection.wait([place.ear for place in self._places], _BEAT)
                for place in [each for each in self._places if each.ear in heard]:
                    self._hear(place)
        finally:
            cut = self._stop()
        if cut:
            raise WorkerError(f"{', '.join(map(str, cut))} did not finish what it had taken on")

    def _hear(self, place: Place) -> None:
        try:
            said = place.ear.recv()
        except (EOFError, OSError):
            self._replace(place)
            return
        if isinstance(said, ReciprocamError):
            if not self._serving:
                raise said
            place.why = str(said)
        elif said == LOADED:
            place.state = LOADED
            self._let_listen()
        else:
            place.state, place.failures = said, 0
            log("worker ready", {"worker": place.number, "pid": place.process.pid})
            self._announce()

    def _let_listen(self) -> None:
        """At first once all of them can, later whoever can."""
        if not self._serving and not all(place.state for place in self._places):
            return
        for place in self._places:
            if place.state == LOADED:
                place.state = LISTEN
                with contextlib.suppress(OSError):  # it is dead, as will be heard
                    place.ear.send(LISTEN)

    def _announce(self) -> None:
        if not self._serving and all(place.serves for place in self._places):
            self._serving = True
            pids = {"pid": os.getpid(), "workers": [place.process.pid for place in self._places]}
            self._ready({**self._places[0].state, **pids})

    def _replace(self, place: Place) -> None:
        ended = place.ended()
        log("worker ended", ended, logging.WARNING)
        totals.forget(place.number)
        place.failures += not place.serves
        if place.failures >= _TRIES:
            how = ended.get("error") or ended.get("signal") or f"exit code {ended['exit_code']}"
            raise WorkerError(f"{place.number} ended {_TRIES} times in a row before it served; the last time: {how}")
        place.fill()

    def _stop(self) -> list[int]:
        """Let all workers finish.

        Returns:
            Those that served and had to be ended, or ended badly.
        """
        log("stopping")
        filled = [place for place in self._places if place.is_filled]
        serving = [place for place in filled if place.serves and place.process.is_alive()]
        for place in filled:
            place.process.terminate()
        give_up = time.monotonic() + self._grace + _AFTER_GRACE
        while (alive := [place.process.sentinel for place in filled if place.process.is_alive()]) and (
            time.monotonic() < give_up and self._signals.count(signal.SIGINT) <= 1
        ):
            connection.wait(alive, _BEAT)
        for place in filled:
            place.process.kill()
        ends = {place.number: place.ended() for place in serving}
        cut = [number for number, ended in ends.items() if ended.get("exit_code") != 0]
        for number in cut:
            log("worker ended", ends[number], logging.ERROR)
        log("stopped")
        return cut
