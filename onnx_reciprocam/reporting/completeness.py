"""Whether a batch is all of its source, as far as can be told afterwards."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.dataset.parts import ROWS, part_files
from onnx_reciprocam.dataset.places import is_url
from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.errors import ReciprocamError, WriteError
from onnx_reciprocam.result_folder import locked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

GO_ON = "Run the same `batch` again to go on"


def missing(folder: Path, settings: Mapping[str, Any], count: int) -> str:
    """In a sentence what a batch lacks; nothing where it has all, or where its source is out of reach.

    Args:
        folder: Of the batch.
        settings: What it was made with.
        count: Its rows.
    """
    if _is_written_to(folder):
        return "A batch is still being written here."
    numbers = {index for index, _, _ in part_files(folder / ROWS)}
    if len(numbers) <= max(numbers, default=-1):
        return f"The batch is not finished: parts in the middle are missing. {GO_ON}."
    if _goes_on(settings.get("source", []), count):
        return f"The batch is not finished: its source has more pictures. {GO_ON}."
    return ""


def _is_written_to(folder: Path) -> bool:
    try:
        with locked(folder, "batch"):
            return False
    except WriteError:
        return True


def _goes_on(places: Sequence[str], count: int) -> bool:
    """Whether a local source has more pictures than so many; they are listed and not read."""
    if any(map(is_url, places)):
        return False
    with suppress(ReciprocamError, OSError, ValueError):
        return next(islice(Source.of(places).items(), count, None), None) is not None
    return False
