"""The rows of a batch on disk: parts of consecutive pictures, each there as a whole or not at all."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn

from onnx_reciprocam.dataset.finished import remove_finished
from onnx_reciprocam.dataset.formats import FORMATS
from onnx_reciprocam.dataset.rows import readable, record_batch
from onnx_reciprocam.errors import SourceError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from onnx_reciprocam.dataset.items import Item
    from onnx_reciprocam.dataset.rows import Row
    from onnx_reciprocam.dataset.sources import Source

ROWS = "rows"
_NAME = re.compile(r"part-(\d{6,})-([0-9a-f]{8})\.")


@dataclass(frozen=True)
class Part:
    """So many consecutive pictures of the source.

    Args:
        index: Which.
        items: They.
    """

    index: int
    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """Of their names: tells whether a part on disk is of the same pictures."""
        names = "\n".join(readable(item.name) for item in self.items)
        return hashlib.blake2b(names.encode(), digest_size=4).hexdigest()


def cut(items: Iterable[Item], size: int) -> Iterator[Part]:
    """A stream of items in parts."""
    stream, index = iter(items), 0
    while piece := tuple(islice(stream, size)):
        yield Part(index, piece)
        index += 1


class Parts:
    """Those of a folder.

    Args:
        folder: Of the results.
        form: The files' format, by its name.
        cells: Numbers per map column.
        constants: Columns that are the same in every row.
    """

    def __init__(self, folder: Path, form: str, cells: int, constants: Mapping[str, str]) -> None:
        self.folder, self._form, self._cells, self._constants = folder / ROWS, form, cells, dict(constants)

    def done(self) -> dict[int, str]:
        """Digests of the parts that are there, by number."""
        return {index: digest for index, digest, _ in part_files(self.folder)}

    def count(self, size: int) -> int:
        """The rows that are there, in parts of ``size`` but for the source's last.

        Raises:
            SourceError: The last part is damaged.
        """
        listed = sorted(part_files(self.folder))
        last: list[int] = [batch.num_rows for _, _, path in listed[-1:] for batch in _decoded(path)]
        return max(len(listed) - 1, 0) * size + sum(last)

    def write(self, index: int, digest: str, rows: Sequence[Row]) -> None:
        """A part, so that it outlives whatever comes next; the mark of a finished batch goes before.

        One that is there is left alone: a machine that was taken for lost may come late with rows that another wrote.

        Raises:
            WriteError: The disk is full, or the like.
        """
        form = FORMATS[self._form]
        path = self.folder / f"part-{index:06d}-{digest}{form.ending}"
        if path.exists():
            return
        data = form.encode(record_batch(rows, self._cells, self._constants))
        remove_finished(self.folder.parent)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(str(self.folder), (error.strerror or str(error)).lower()) from error
        write_atomically(path, data, durable=True)


@dataclass(frozen=True)
class Work:
    """What is left to do of a source; plain words, so that any machine can list it.

    Args:
        source: All of it.
        size: Pictures per part.
        done: Digests of the parts that are there, by number.
        folder: Of the results, for messages.
    """

    source: Source
    size: int
    done: Mapping[int, str]
    folder: str

    def parts(self) -> Iterator[Part]:
        """The parts that are not there yet.

        Raises:
            WriteError: A part is there, but of other pictures.
            SourceError: The source cannot be read.
        """
        unseen = set(self.done)
        for part in cut(self.source.items(), self.size):
            if part.index not in unseen:
                yield part
                continue
            unseen.remove(part.index)
            if part.digest != self.done[part.index]:
                self._refuse()
        if unseen:
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise WriteError(self.folder, "the source's pictures are others than when it was begun; name another folder")


def read_rows(folder: Path) -> Iterator[Any]:
    """The rows of a batch in the source's order, as record batches of :func:`~onnx_reciprocam.dataset.rows.schema`.

    Raises:
        SourceError: A part is damaged.
        MissingPackageError: What reads them is not installed.
    """
    for _, _, path in sorted(part_files(folder / ROWS)):
        yield from _decoded(path)


def _decoded(path: Path) -> Iterator[Any]:
    form = next(form for form in FORMATS.values() if path.name.endswith(form.ending))
    try:
        yield from form.decode(path)
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(str(path), "it is damaged; remove it and run the batch again") from error


def part_files(folder: Path) -> Iterator[tuple[int, str, Path]]:
    """Number, digest and file of every part; nothing where there is no folder."""
    endings = tuple(form.ending for form in FORMATS.values())
    for path in folder.glob("part-*"):
        if (match := _NAME.match(path.name)) and path.name.endswith(endings):
            yield int(match[1]), match[2], path
