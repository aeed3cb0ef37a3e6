"""Files that hold many pictures: WebDataset's tar shards, and Parquet with an image column."""

from __future__ import annotations

import tarfile
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from onnx_reciprocam.dataset.items import BrokenItem, CellItem, FileItem, HeldItem, SliceItem, parquet, read_column
from onnx_reciprocam.dataset.lists import COLUMN, beside
from onnx_reciprocam.dataset.places import open_place, why
from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.runtime.images import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.dataset.items import Item


def read_tar(place: str) -> Iterator[Item]:
    """The pictures of a tar file, as they lie in it; of one that is not compressed, headers alone are read.

    A file that is cut short ends in an item that cannot be read.

    Raises:
        SourceError: It is no tar file.
    """
    opened = False
    try:
        with open_place(place) as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
            opened = True
            packed = archive.fileobj is not stream
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header it has seen
                if member.isfile() and PurePosixPath(member.name).suffix.lower() in ENDINGS:
                    yield _member(place, archive, member, packed=packed)
            if not packed and not _is_ended(stream, archive.offset):
                yield BrokenItem(place, "the tar file has no end: it was cut short, and pictures may be missing")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        if not opened:
            raise SourceError(place, f"{why(error)}; name a tar file to read") from error
        yield BrokenItem(place, f"the tar file is damaged from here on: {why(error)}")


def _is_ended(stream: IO[bytes], offset: int) -> bool:
    """Whether a block of zeros is there (POSIX.1-2001, pax); tarfile takes a cut header for the end."""
    stream.seek(offset)
    return stream.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)


def _member(place: str, archive: tarfile.TarFile, member: tarfile.TarInfo, *, packed: bool) -> Item:
    name = f"{place}/{member.name}"
    if not packed and not member.issparse():
        return SliceItem(name, place, member.offset_data, member.size)
    stream = archive.extractfile(member)
    return HeldItem(name, stream.read() if stream is not None else b"")


def read_parquet(place: str) -> Iterator[Item]:
    """The rows of a Parquet file, none of them read yet: of its image column, or else of its column ``path``.

    Raises:
        SourceError: It cannot be read, or has no such column.
    """
    column, groups = _outline(place)
    row = 0
    for group, count in enumerate(groups):
        paths = None if column != COLUMN else read_column(place, group, column).to_pylist()  # type: ignore[attr-defined]
        for inner in range(count):
            if paths is None:
                yield CellItem(f"{place}#{row}", place, group, inner, column)
            elif paths[inner]:
                yield FileItem(beside(place, paths[inner]))
            row += 1


def count_rows(place: str) -> int:
    """As the file says.

    Raises:
        SourceError: As :func:`read_parquet`.
    """
    return sum(_outline(place)[1])


def _outline(place: str) -> tuple[str, list[int]]:
    """The column that has the pictures, and the rows of every group."""
    pq = parquet()
    try:
        with open_place(place) as stream:
            file = pq.ParquetFile(stream)
            groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
            schema = file.schema_arrow
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise SourceError(place, f"{why(error)}; name a Parquet file to read") from error
    names = [field.name for field in schema if _holds_bytes(field.type)]
    if names:
        return "image" if "image" in names else names[0], groups
    if COLUMN in schema.names:
        return COLUMN, groups
    raise SourceError(
        place, f"none of its columns ({', '.join(schema.names)}) holds pictures' bytes, or is called path"
    )


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
