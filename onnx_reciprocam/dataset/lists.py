"""Lists of pictures, read line by line."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.items import FileItem
from onnx_reciprocam.dataset.places import is_url, open_place, why
from onnx_reciprocam.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.dataset.items import Item

COLUMN = "path"


def read_lines(place: str) -> Iterator[Item]:
    """A text file in UTF-8 with a path or URL per line, relative ones from the file's folder; empty lines are none.

    Raises:
        SourceError: It cannot be read.
    """
    for line in _lines(place):
        if text := line.strip():
            yield FileItem(beside(place, text))


def count_lines(place: str) -> int:
    """How many pictures :func:`read_lines` names.

    Raises:
        SourceError: As there.
    """
    return sum(1 for line in _lines(place) if not line.isspace())


def read_csv(place: str) -> Iterator[Item]:
    """A CSV in UTF-8 with a column ``path``, as :func:`read_lines`; other columns are ignored.

    Raises:
        SourceError: It cannot be read, or has no such column.
    """
    reader = csv.reader(_lines(place), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if COLUMN not in header:
            found = ", ".join(header) or "nothing"
            raise SourceError(
                place, f"its first line names no column {COLUMN!r} but {found}; rename the pictures' column"
            )
        column = header.index(COLUMN)
        for row in reader:
            if len(row) > column and row[column].strip():
                yield FileItem(beside(place, row[column].strip()))
    except csv.Error as error:
        raise SourceError(place, f"line {reader.line_num} is no CSV ({error}); save it as CSV with commas") from error


def beside(place: str, name: str) -> str:
    """What a file in ``place`` means by ``name``."""
    if is_url(name) or os.path.isabs(name):  # noqa: PTH117 - a Path takes ten times as long, of ten million
        return name
    if is_url(place):
        return f"{place.rpartition('/')[0]}/{name}"
    return os.path.join(os.path.dirname(place), name)  # noqa: PTH118, PTH120 - likewise


def _lines(place: str) -> Iterator[str]:
    try:
        with open_place(place) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
            yield from text
    except UnicodeDecodeError as error:
        raise SourceError(place, "it is not in UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise SourceError(place, f"{why(error)}; name a list to read") from error
