"""A batch as a page to look through, with its data in a folder beside it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import OptionError, SourceError, WriteError
from onnx_reciprocam.reporting.batch_folder import MAKE_ONE, count_rows, read_settings, rows
from onnx_reciprocam.reporting.cards import Place, card
from onnx_reciprocam.reporting.completeness import missing
from onnx_reciprocam.reporting.originals import Originals
from onnx_reciprocam.reporting.page import page
from onnx_reciprocam.result_folder import locked
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.cores import core_count
from onnx_reciprocam.work_ahead import in_order

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from onnx_reciprocam.reporting.batch_folder import Row

PAGE, DATA = "report.html", "report"
LIMIT = 20_000
"""Rows on a page, unless told otherwise."""
CHUNK = 500
"""Rows in a file of data."""


@dataclass(frozen=True)
class Report:
    """What a page shows.

    Args:
        page: The file to open.
        rows: Of the batch.
        shown: Of these, how many are on the page.
        failed: Of those shown, how many were not explained.
        flat: How many have a map that is the same everywhere.
        gone: How many have no picture any more.
        missing: In a sentence what the batch lacks; nothing where it is finished.
    """

    page: Path
    rows: int
    shown: int
    failed: int
    flat: int
    gone: int
    missing: str = ""


def report(
    folder: str | os.PathLike[str],
    *,
    limit: int = LIMIT,
    progress: Callable[[int, int, str], object] | None = None,
) -> Report:
    """Write ``report.html`` into a batch's folder, and what it shows into ``report/`` beside it.

    A page that is there already is replaced once the new one is whole. A batch that is not finished, or had failures,
    is shown as far as it goes.

    Args:
        folder: What `batch` made.
        limit: Rows at most; of more, as many evenly spread.
        progress: Called with how many rows are drawn, how many there are to draw, and the last one's name.

    Raises:
        MissingPackageError: jinja2, filelock or pyarrow is not installed.
        OptionError: ``limit`` is below 1.
        SourceError: The folder holds no batch, or none of its rows, or a damaged one.
        WriteError: The disk is full, or the like.
    """
    batch = Path(folder)
    if limit < 1:
        raise OptionError("--limit", str(limit), ("a number of rows, at least 1",))
    settings = read_settings(batch)
    count = count_rows(batch)
    if not count:
        raise SourceError(str(batch), f"there are no rows in it yet. {MAKE_ONE}")
    shown = min(count, limit)
    with locked(batch / DATA, "batch"), _fresh(batch / DATA) as data:
        told: Counter[str] = Counter()
        for each in _draw(batch, data, _chosen(rows(batch), count, shown)):
            told.update(drawn=1, failed="error" in each, flat=each.get("flat", False), gone="gone" in each)
            if progress:
                progress(told["drawn"], shown, each["path"].rpartition("/")[2])
        lacking = missing(batch)
        found = Report(batch / PAGE, count, told["drawn"], told["failed"], told["flat"], told["gone"], lacking)
        chunks = -(-found.shown // CHUNK)
        write_atomically(batch / PAGE, page(found, settings, f"{DATA}/{data.name}", chunks).encode())
    return found


def _chosen(every: Iterator[Row], count: int, shown: int) -> Iterator[Row]:
    """``shown`` of ``count`` rows, evenly spread; what was added since they were counted is left out."""
    for number, row in zip(range(count), every, strict=False):
        if number * shown % count < shown:
            yield row


def _draw(batch: Path, data: Path, chosen: Iterator[Row]) -> Iterator[dict[str, Any]]:
    """Write pictures and rows of data, chunk by chunk, and hand each row on as the page has it."""
    originals = Originals(batch)
    cards: list[dict[str, Any]] = []
    chunk = 0
    for _, each in in_order(lambda one: card(one[0], originals, one[1]), _placed(data, chosen), core_count()):
        cards.append(each)
        if len(cards) == CHUNK:
            _write_rows(data, chunk, cards)
            cards, chunk = [], chunk + 1
        yield each
    if cards:
        _write_rows(data, chunk, cards)


def _placed(data: Path, chosen: Iterator[Row]) -> Iterator[tuple[Row, Place]]:
    """Rows and where their files go: a folder per chunk, since a folder of all would be slow to open."""
    for number, row in enumerate(chosen):
        chunk, rest = divmod(number, CHUNK)
        if not rest:
            _make(data / str(chunk))
        yield row, Place(data, f"{chunk}/{rest}")


def _write_rows(data: Path, chunk: int, cards: list[dict[str, Any]]) -> None:
    """As a script, which a page may load from a disk where it may not load JSON."""
    text = f"reportRows({chunk}, {json.dumps(cards, separators=(',', ':'))});\n"
    write_atomically(data / f"rows-{chunk}.js", text.encode())


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """A new folder for a page's data; when it is done the earlier ones go, and when not, it goes itself."""
    earlier = [path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal()]
    data = folder / str(1 + max((int(path.name) for path in earlier), default=0))
    _make(data)
    try:
        yield data
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise
    for path in earlier:
        shutil.rmtree(path, ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise WriteError(str(folder), (error.strerror or str(error)).lower()) from error
