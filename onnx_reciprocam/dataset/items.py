"""One picture of a data set, wherever its bytes are: named now, read later, by whichever thread or machine explains it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from onnx_reciprocam.dataset.places import open_place, read_bytes, why
from onnx_reciprocam.dataset.rows import arrow
from onnx_reciprocam.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUPS_KEPT = 2
"""Row groups of Parquet files held at a time: the one being read, and the one before, for its last pictures."""

_GROUP = threading.Lock()


class Item(Protocol):
    """A picture by name."""

    @property
    def name(self) -> str:
        """Its path, URL, ``FILE.tar/MEMBER`` or ``FILE.parquet#ROW``."""

    def read(self) -> bytes:
        """The bytes of the picture file.

        Raises:
            ImageError: They cannot be read.
        """


@dataclass(frozen=True)
class FileItem:
    """A file of its own, local or behind a URL."""

    name: str

    def read(self) -> bytes:
        """The file."""
        return _read(self.name, self.name, 0, None)


@dataclass(frozen=True)
class SliceItem:
    """A member of a tar file that is not compressed: so many bytes of it from an offset."""

    name: str
    place: str
    offset: int
    size: int

    def read(self) -> bytes:
        """The member."""
        return _read(self.name, self.place, self.offset, self.size)


@dataclass(frozen=True)
class HeldItem:
    """A member of a compressed tar file, which is read through in order."""

    name: str
    data: bytes

    def read(self) -> bytes:
        """The member."""
        return self.data


@dataclass(frozen=True)
class CellItem:
    """A row of a Parquet file with an image column: bytes, or a struct with a field ``bytes``, as Hugging Face has it."""

    name: str
    place: str
    group: int
    row: int
    column: str

    def read(self) -> bytes:
        """The cell."""
        try:
            with _GROUP:  # one reads the group, the others wait for it
                cell = read_column(self.place, self.group, self.column)[self.row]
        except (OSError, ValueError, IndexError) as error:
            raise ImageError(self.name, why(error)) from error
        value = cell.as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise ImageError(self.name, "the cell is empty")
        return bytes(data)


@dataclass(frozen=True)
class BrokenItem:
    """What a source names and cannot hand over."""

    name: str
    reason: str

    def read(self) -> bytes:
        """Nothing."""
        raise ImageError(self.name, self.reason)


@lru_cache(maxsize=_GROUPS_KEPT)
def read_column(place: str, group: int, column: str) -> Sequence[Any]:
    """One column of a row group, a pyarrow array.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    with open_place(place) as stream:
        cells: Sequence[Any] = parquet().ParquetFile(stream).read_row_group(group, [column]).column(0).combine_chunks()
    return cells


def parquet() -> Any:
    """Pyarrow's module for Parquet.

    Raises:
        MissingPackageError: It is not installed.
    """
    arrow()
    import pyarrow.parquet as pq

    return pq


def _read(name: str, place: str, offset: int, size: int | None) -> bytes:
    try:
        data = read_bytes(place, offset, size)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(name, why(error)) from error
    if size is not None and len(data) < size:
        raise ImageError(name, "the file ends before it does")
    return data
