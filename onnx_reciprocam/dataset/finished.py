"""The mark of a batch that is finished: the last thing that is written, and gone before a row is added."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.result_folder import read_if_there
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

FINISHED = "finished.json"


class Finished(NamedTuple):
    """What a finished batch consists of.

    Args:
        rows: One per picture, those that failed among them.
        parts: Files that hold them.
    """

    rows: int
    parts: int


def read_finished(folder: Path) -> Finished | None:
    """What the mark of a batch says; None where there is none.

    Raises:
        WriteError: It cannot be read.
    """
    try:
        told = json.loads(read_if_there(folder / FINISHED) or b"")
        return Finished(int(told["rows"]), int(told["parts"]))
    except (ValueError, TypeError, KeyError):
        return None


def write_finished(folder: Path, finished: Finished) -> None:
    """Mark a batch as finished, so that it outlives a power cut; nothing if it says so already.

    Raises:
        WriteError: The disk is full, or the like.
    """
    if read_finished(folder) != finished:
        write_atomically(folder / FINISHED, json.dumps(finished._asdict()).encode(), durable=True)


def remove_finished(folder: Path) -> None:
    """Take the mark away, if there is one, so that it is gone from the disk before anything else is changed there.

    Raises:
        WriteError: The system refuses.
    """
    try:
        (folder / FINISHED).unlink()
        if os.name == "posix":  # elsewhere folders cannot be opened
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except FileNotFoundError:
        return
    except OSError as error:
        raise WriteError(str(folder / FINISHED), (error.strerror or str(error)).lower()) from error
