"""The rows of an evaluation on disk: appended as they come, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import MissingPackageError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SETTINGS, ROWS, LOCK = "settings.json", "rows.jsonl", ".lock"


class Records:
    """One folder's rows, a JSON object per line.

    Args:
        folder: Where; made if missing.
        settings: What the rows were made with: another run may only go on with the same.

    Raises:
        WriteError: The folder holds rows of other settings, or cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(settings, indent=2, sort_keys=True)
        path = folder / SETTINGS
        if (old := _read(path)) is None:
            if _read(folder / ROWS):
                raise WriteError(str(folder), f"its rows have lost their {SETTINGS}; name another folder")
            write_atomically(path, text.encode())
        elif differing := _differing(old, json.loads(text)):
            raise WriteError(str(folder), f"it holds an evaluation with {differing}; name another folder")
        self._latest = {_key(row): row for row in _whole_lines(folder / ROWS)}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The latest of each sample and method."""
        return list(self._latest.values())

    def done(self) -> set[tuple[str, str]]:
        """Sample and method of every row that has figures: what went wrong is tried again."""
        return {key for key, row in self._latest.items() if not row.get("error")}

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows so that they survive whatever comes next.

        Raises:
            WriteError: The disk is full, or the like.
        """
        fresh = [row for row in rows if self._latest.get(_key(row)) != row]  # an error that came again is there already
        try:
            _append(self.folder / ROWS, "".join(json.dumps(row) + "\n" for row in fresh).encode())
        except OSError as error:
            raise WriteError(str(self.folder / ROWS), (error.strerror or str(error)).lower()) from error
        self._latest |= {_key(row): dict(row) for row in fresh}


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["sample"], row["method"]


def _append(path: Path, data: bytes) -> None:
    """All of it, or nothing: what fits on a disk before it is full is taken back."""
    with path.open("ab", buffering=0) as stream:
        start = stream.tell()
        try:
            while data:
                data = data[stream.write(data) :]
            os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                stream.truncate(start)
            raise


def _read(path: Path) -> bytes | None:
    """None where there is no such file.

    Raises:
        WriteError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WriteError(str(path), (error.strerror or str(error)).lower()) from error


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, whose last line may be cut: it is taken off.

    Raises:
        WriteError: Something else is in it.
    """
    data = _read(path) or b""
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        write_atomically(path, whole)
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            rows.append(json.loads(line))
            _key(rows[-1])
        except (ValueError, TypeError, KeyError) as error:  # noqa: PERF203 - the line is named
            raise WriteError(str(path), f"its line {number} is no row; remove that line, or the file") from error
    return rows


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
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if missing.

    Raises:
        MissingPackageError: filelock is not installed.
        WriteError: Another run is in it, or it cannot be made.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise MissingPackageError("filelock", "evaluate") from None
    lock = FileLock(folder / LOCK, timeout=0)
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
