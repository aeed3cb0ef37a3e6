"""A folder of results: one run at a time writes there, and only with the settings that it began with."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import MissingPackageError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SETTINGS, LOCK = "settings.json", ".lock"
_PATIENCE = 0.5
"""Seconds to wait for the lock: whoever asks whether there is a run holds it for a moment."""


def settle(folder: Path, settings: Mapping[str, Any], what: str, *, filled: bool) -> None:
    """Write down what a folder's rows are made with, or see that it is what they were made with before.

    Args:
        folder: Where.
        settings: They.
        what: What the folder holds, for messages.
        filled: Whether there are rows already.

    Raises:
        WriteError: The folder holds rows of other settings, or cannot be written to.
    """
    text = json.dumps(settings, indent=2, sort_keys=True)
    path = folder / SETTINGS
    if (old := read_if_there(path)) is None:
        if filled:
            raise WriteError(str(folder), f"its rows have lost their {SETTINGS}; name another folder")
        write_atomically(path, text.encode())
    elif differing := _differing(old, json.loads(text)):
        raise WriteError(str(folder), f"it holds {what} with {differing}; name another folder")


def read_if_there(path: Path) -> bytes | None:
    """The bytes of a file, None where there is no such file.

    Raises:
        WriteError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WriteError(str(path), (error.strerror or str(error)).lower()) from error


def _differing(old: bytes, settings: Mapping[str, Any]) -> str:
    """Which settings are others than before, and what they were; nothing if none."""
    try:
        before, now = _flat(json.loads(old)), _flat(settings)
    except (ValueError, AttributeError):
        return "settings that cannot be read"
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return ", ".join(
        "another model"
        if name == "model"
        else f"{name} {json.dumps(before.get(name))}, now {json.dumps(now.get(name))}"
        for name in names
    )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"protocol": {"steps": 6}}`` as ``{"protocol.steps": 6}``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        text = name == "preprocessing" and isinstance(value, str)  # one line of JSON, as in a file's metadata
        read = json.loads(value) if text else value
        flat |= {f"{name}.{key}": each for key, each in read.items()} if isinstance(read, dict) else {name: read}
    return flat


@contextmanager
def locked(folder: Path, extra: str) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if missing.

    Args:
        folder: Where.
        extra: What of this package is installed to have filelock.

    Raises:
        MissingPackageError: filelock is not installed.
        WriteError: Another run is in it, or it cannot be made.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise MissingPackageError("filelock", extra) from None
    lock = FileLock(folder / LOCK, timeout=_PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise WriteError(str(folder), "another run is writing there; wait for it, or name another folder") from None
    except OSError as error:
        raise WriteError(str(folder), (error.strerror or str(error)).lower()) from error
    try:
        yield
    finally:
        lock.release()
