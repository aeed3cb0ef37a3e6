"""Whatever names pictures, as a stream of items in an order that is the same each time."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.folders import walk_folder, walk_remote
from onnx_reciprocam.dataset.items import FileItem
from onnx_reciprocam.dataset.lists import count_lines, read_csv, read_lines
from onnx_reciprocam.dataset.places import file_system, is_url, why
from onnx_reciprocam.dataset.shards import count_rows, read_parquet, read_tar
from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.runtime.images import ENDINGS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from onnx_reciprocam.dataset.items import Item

KNOWN = "a folder, a glob, a .txt or .csv list, a .tar, a .parquet, or a URL of one of these such as s3://BUCKET/FOLDER"

_READERS: dict[str, Callable[[str], Iterator[Item]]] = {
    ".txt": read_lines,
    ".lst": read_lines,
    ".csv": read_csv,
    ".tar": read_tar,
    ".tar.gz": read_tar,
    ".tgz": read_tar,
    ".parquet": read_parquet,
    **dict.fromkeys(ENDINGS, lambda place: iter([FileItem(place)])),
}


_COUNTERS = {".txt": count_lines, ".lst": count_lines, ".parquet": count_rows}


@dataclass(frozen=True)
class Source:
    """Some places that pictures are in.

    Args:
        places: Paths, globs and URLs, in the caller's order.
    """

    places: tuple[str, ...]

    @classmethod
    def of(cls, source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Source:
        """One place or several, judged before the work begins.

        Raises:
            SourceError: One is not there, or of no kind that is read.
        """
        one = isinstance(source, str) or hasattr(source, "__fspath__")
        found = cls(tuple(str(place) for place in ([source] if one else source)))  # type: ignore[union-attr]
        for place in found.places:
            _check(place)
        return found

    def items(self) -> Iterator[Item]:
        """Every picture, one after the other; never all in memory but for the files of one folder, or of one glob.

        Raises:
            SourceError: A list or shard cannot be read.
        """
        for place in self.places:
            yield from _items(place)

    def count(self) -> int:
        """How many there are: by the shards' own figures, or by listing all, which takes a while.

        Raises:
            SourceError: As :meth:`items`.
        """
        return sum(map(_count, self.places))


def _items(place: str) -> Iterator[Item]:
    if (reader := _reader(place)) is not None and not _is_pattern(place):
        yield from reader(place)
    elif is_url(place):
        for each in walk_remote(place):
            yield from _items(each) if _is_pattern(place) else iter([FileItem(each)])
    elif _is_pattern(place):
        for each in sorted(glob.iglob(place, recursive=True)):  # noqa: PTH207 - keeps "./" and is lazy
            if Path(each).is_dir() or _reader(each) is not None:
                yield from _items(each)
    else:
        yield from walk_folder(place)


def _count(place: str) -> int:
    quick = None if _is_pattern(place) or _reader(place) is None else _COUNTERS.get(_ending(place))
    return quick(place) if quick else sum(1 for _ in _items(place))


def _check(place: str) -> None:
    if is_url(place):
        return _check_url(place)
    if _is_pattern(place):
        first = next((each for each in glob.iglob(place, recursive=True) if _known(each)), None)  # noqa: PTH207 - as above
        if first is None:
            raise SourceError(place, f"nothing of a kind that is read matches; name {KNOWN}")
        return None
    if not Path(place).exists():
        raise SourceError(place, f"no such file or folder; name {KNOWN}")
    if not _known(place):
        raise SourceError(place, f"it is not of a kind that is read; name {KNOWN}")
    return None


def _check_url(place: str) -> None:
    system, path = file_system(place)
    try:
        there = _is_pattern(place) or system.exists(path)
    except Exception as error:  # every file system raises its own kinds
        raise SourceError(place, f"{why(error)}; check the address and the credentials") from error
    if not there:
        raise SourceError(place, f"there is nothing at this address; name {KNOWN}")


def _known(place: str) -> bool:
    return Path(place).is_dir() or _reader(place) is not None


def _is_pattern(place: str) -> bool:
    """A file whose name has brackets is no pattern."""
    return glob.has_magic(place) and (is_url(place) or not Path(place).exists())


def _ending(place: str) -> str:
    """In lower case; of two parts where it is ``.tar.gz``."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(place).suffixes]
    return "".join(suffixes[-2:]) if suffixes[-2:] == [".tar", ".gz"] else "".join(suffixes[-1:])


def _reader(place: str) -> Callable[[str], Iterator[Item]] | None:
    if not is_url(place) and Path(place).is_dir():
        return None
    return _READERS.get(_ending(place))
