"""The rows of an evaluation on disk: appended as they come, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
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
        if path.exists() and (old := path.read_text("utf-8")) != text:
            raise WriteError(
                str(folder), f"it holds an evaluation with {_differing(old, settings)}; name another folder"
            )
        write_atomically(path, text.encode())
        self.rows = _whole_lines(folder / ROWS)

    def done(self) -> set[tuple[str, str]]:
        """Sample and method of every row."""
        return {(row["sample"], row["method"]) for row in self.rows}

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows so that they survive whatever comes next.

        Raises:
            WriteError: The disk is full, or the like.
        """
        try:
            with (self.folder / ROWS).open("ab") as stream:
                stream.write("".join(json.dumps(row) + "\n" for row in rows).encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise WriteError(str(self.folder / ROWS), f"{error.strerror or error}.") from error
        self.rows.extend(dict(row) for row in rows)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, whose last line may be cut: it is taken off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        write_atomically(path, whole)
    return [json.loads(line) for line in whole.splitlines()]


def _differing(old: str, settings: Mapping[str, Any]) -> str:
    try:
        before = json.loads(old)
    except ValueError:
        return "settings that cannot be read"
    names = [name for name in sorted({*before, *settings}) if before.get(name) != settings.get(name)]
    return f"another {', another '.join(names)}"


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise WriteError(str(folder), "another run is writing there; wait for it, or name another folder") from None
    except OSError as error:
        raise WriteError(str(folder), f"{error.strerror or error}.") from error
