"""Whether a batch has a row for every picture of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.finished import read_finished
from onnx_reciprocam.dataset.parts import ROWS, part_files
from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.result_folder import locked

if TYPE_CHECKING:
    from pathlib import Path

GO_ON = "Run the same `batch` again to go on."


def missing(folder: Path) -> str:
    """In a sentence what a batch lacks; nothing where it is finished.

    Raises:
        WriteError: Its mark cannot be read.
    """
    if _is_written_to(folder):
        return "A batch is still being written here."
    numbers = {index for index, _, _ in part_files(folder / ROWS)}
    finished = read_finished(folder)
    if len(numbers) <= max(numbers, default=-1):
        return f"The batch is not finished: parts in the middle are missing. {GO_ON}"
    if finished is None:
        return f"The batch is not finished: it was cut short. {GO_ON}"
    if finished.parts != len(numbers):
        return f"The batch is not finished: parts at its end are missing. {GO_ON}"
    return ""


def _is_written_to(folder: Path) -> bool:
    try:
        with locked(folder, "batch"):
            return False
    except WriteError:
        return True
