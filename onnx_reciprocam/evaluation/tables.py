"""A CSV of pictures."""

from __future__ import annotations

import csv
import difflib
import io
import os
from itertools import zip_longest
from typing import TYPE_CHECKING, NoReturn

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.boxes import placed
from onnx_reciprocam.evaluation.picture_files import find_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from onnx_reciprocam.evaluation.boxes import Box
    from onnx_reciprocam.evaluation.class_names import ClassNames
    from onnx_reciprocam.evaluation.sample import Sample

_CORNERS = ("left", "top", "right", "bottom")
_COLUMNS = ("path", "label", "box", *_CORNERS, "mask")
_SHAPE = 'a box is "left,top,right,bottom" in quotes, several separated by ;'


def read_table(table: Path, folder: Path, names: ClassNames) -> list[Sample]:
    """A CSV in UTF-8 whose first line names its columns; other columns are ignored unless they look like these misspelt.

    ``path``: the picture, from ``folder``. ``label``: a class number or name. ``box``: ``"left,top,right,bottom"``,
    several separated by ``;``; or four columns ``left``, ``top``, ``right``, ``bottom``. ``mask``: a PNG, from
    ``folder``. All but the path may be absent or empty. A picture of several classes has a row for each.

    Raises:
        SourceError: It cannot be read, a row cannot be used, or a picture's class stands twice.
    """
    lines: dict[tuple[str, int | None], int] = {}
    try:
        samples = [_sample(line, row, folder, names, lines) for line, row in _rows(_text(table))]
    except csv.Error as error:
        raise SourceError(str(table), f"it is no CSV ({error}); save it as CSV with commas") from error
    except ValueError as error:
        raise SourceError(str(table), str(error)) from error
    if not samples:
        raise SourceError(str(table), "it names no picture; add a line per picture below the header")
    return samples


def _text(table: Path) -> str:
    try:
        return table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not in UTF-8; save it as CSV UTF-8") from error
    except OSError as error:
        raise ValueError(f"{(error.strerror or str(error)).lower()}; name a CSV to read") from error


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row by column, with the line that it ends in; empty ones are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns = [name.strip().lower() for name in next(reader, [])]
    _check_columns(columns)
    for fields in reader:
        if not any(map(str.strip, fields)):
            continue
        if len(fields) > len(columns):
            raise ValueError(f"line {reader.line_num}: {len(fields)} fields for {len(columns)} columns; {_SHAPE}")
        yield reader.line_num, dict(zip_longest(columns, map(str.strip, fields), fillvalue=""))


def _check_columns(columns: Sequence[str]) -> None:
    if "path" not in columns:
        raise ValueError(f"its first line names no column 'path'; begin with a header such as {','.join(_COLUMNS[:3])}")
    for name in columns:
        if columns.count(name) > 1 and name in _COLUMNS:
            raise ValueError(f"two columns are called {name!r}; remove or rename one")
        close = difflib.get_close_matches(name, _COLUMNS, n=1, cutoff=0.75)
        if close and name not in _COLUMNS:
            raise ValueError(f"column {name!r} is not known; did you mean {close[0]!r}? Rename or remove it")
    corners = [name for name in _CORNERS if name in columns]
    if corners and (len(corners) < 4 or "box" in columns):
        raise ValueError("a box is either one column 'box', or four: left, top, right and bottom; correct the header")


def _sample(
    line: int, row: dict[str, str], folder: Path, names: ClassNames, lines: dict[tuple[str, int | None], int]
) -> Sample:
    """The row as a sample; ``lines`` has those of the rows so far."""
    try:
        path = _file(folder, row["path"], "picture")
        label = names.number(row["label"]) if row.get("label") else None
        if (first := lines.setdefault((os.path.normpath(path), label), line)) != line:
            _refuse_twice(row["path"], first)
        boxes, mask = _boxes(row), _mask(folder, row.get("mask"))
        try:
            return placed(path, label, boxes, mask=mask)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error


def _refuse_twice(path: str, first: int) -> NoReturn:
    raise ValueError(f"{path!r} is in line {first} with the same label; put its boxes into one row: {_SHAPE}")


def _mask(folder: Path, name: str | None) -> Path | None:
    if name and not name.lower().endswith(".png"):
        raise ValueError(f"mask {name!r} is no .png; convert it")
    return _file(folder, name, "mask") if name else None


def _file(folder: Path, name: str, what: str) -> Path:
    if not name:
        raise ValueError(f"the {what}'s path is empty; write it")
    if path := find_file(folder, name):
        return path
    raise ValueError(f"no {what} {name!r} in {str(folder)!r}; correct the path, or remove the line")


def _boxes(row: dict[str, str]) -> list[Box]:
    corners = [row.get(name, "") for name in _CORNERS]
    text = ",".join(corners) if any(corners) else row.get("box", "")
    return [_box(part) for part in text.split(";") if part.strip()]


def _box(text: str) -> Box:
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError as error:
        raise ValueError(f"{text.strip()!r} is no box; {_SHAPE}") from error
    return left, top, right, bottom
