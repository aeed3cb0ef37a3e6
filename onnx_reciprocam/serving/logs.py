"""Logs as JSON, a line per request and per event, on stdout."""

from __future__ import annotations

import contextvars
import datetime as dt
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGGER = logging.getLogger("onnx_reciprocam.serving")

_facts: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("facts", default=None)


class _Lines(logging.Formatter):
    """A record as one line of JSON; whatever a client sent is quoted in it."""

    def __init__(self, worker: int | None) -> None:
        super().__init__()
        self._origin = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **self._origin,
            **getattr(record, "facts", {}),
        }
        if record.name != LOGGER.name:
            entry["logger"] = record.name
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def set_up_logging(worker: int | None = None) -> None:
    """Our lines and, from warnings on, those of the servers underneath; with the number of the worker that writes them."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines(worker))
    levels = {
        LOGGER.name: logging.INFO,
        "kserve": logging.CRITICAL,  # it reports every bad request with a traceback; ours says so in its line
        "kserve.trace": logging.CRITICAL,
        "uvicorn.error": logging.ERROR,
        "uvicorn.access": logging.CRITICAL,
        "asyncio": logging.ERROR,
    }
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def log(event: str, facts: Mapping[str, Any] | None = None, level: int = logging.INFO) -> None:
    """A line of the log."""
    LOGGER.log(level, event, extra={"facts": facts or {}})


def log_fault(error: BaseException, place: str) -> None:
    """A fault of the service itself, with its traceback."""
    LOGGER.error("fault", exc_info=error, extra={"facts": {"place": place}})


def take_notes() -> dict[str, Any]:
    """A place for what is found out while the present request is answered."""
    facts: dict[str, Any] = {}
    _facts.set(facts)
    return facts


def note(**facts: Any) -> None:
    """Add to the line of the present request."""
    if (notes := _facts.get()) is not None:
        notes.update(facts)
