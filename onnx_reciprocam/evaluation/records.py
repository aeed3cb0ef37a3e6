"""The rows of an evaluation on disk: appended as they come, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.result_folder import read_if_there, settle
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROWS = "rows.jsonl"


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
        settle(folder, settings, "an evaluation", filled=bool(read_if_there(folder / ROWS)))
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


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, whose last line may be cut: it is taken off.

    Raises:
        WriteError: Something else is in it.
    """
    data = read_if_there(path) or b""
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
