"""Whatever names pictures, as a stream of items in an order that is the same each time."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.folders import walk
from onnx_reciprocam.dataset.items import FileItem
from onnx_reciprocam.dataset.lists import count_lines, read_csv, read_lines
from onnx_reciprocam.dataset.patterns import Pattern
from onnx_reciprocam.dataset.places import ending, file_system, is_url, is_web, why
from onnx_reciprocam.dataset.shards import count_rows, read_parquet, read_tar
from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.runtime.images import ENDINGS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from onnx_reciprocam.dataset.items import BrokenItem, Item

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
        """Every picture, one after the other; never all in memory but for the files of one folder.

        Raises:
            SourceError: A list, a shard or a folder behind a URL cannot be read.
        """
        for place in self.places:
            yield from _items(place)

    def count(self) -> int | None:
        """How many there are: by the shards' own figures, or by listing all, which takes a while.

        None where tar files behind URLs would have to be fetched for it.

        Raises:
            SourceError: As :meth:`items`.
        """
        counts = [_count(place) for place in self.places]
        return None if None in counts else sum(filter(None, counts))


def _items(place: str) -> Iterator[Item]:
    if (reader := _reader(place)) is not None:
        yield from reader(place)
        return
    for found in _found(place):
        if isinstance(found, str):
            yield from _READERS[ending(found)](found)
        else:
            yield found


def _found(place: str) -> Iterator[str | BrokenItem]:
    """The files of a folder or pattern that are of a kind that is read."""
    for found in walk(Pattern.of(place) if _is_pattern(place) else Pattern(place)):
        if not isinstance(found, str) or ending(found) in _READERS:
            yield found


def _count(place: str) -> int | None:
    if _reader(place) is not None:
        return _count_in(place)
    total = 0
    for found in _found(place):
        if (count := _count_in(found) if isinstance(found, str) else 1) is None:
            return None
        total += count
    return total


def _count_in(file: str) -> int | None:
    kind = ending(file)
    if kind in ENDINGS:
        return 1
    if kind in _COUNTERS:
        return _COUNTERS[kind](file)
    return None if is_url(file) and _READERS[kind] is read_tar else sum(1 for _ in _READERS[kind](file))


def _check(place: str) -> None:
    if _is_pattern(place):
        if next((found for found in _found(place) if isinstance(found, str)), None) is None:
            raise SourceError(place, f"nothing of a kind that is read matches; name {KNOWN}")
        return None
    if is_url(place):
        return _check_url(place)
    if not Path(place).exists():
        raise SourceError(place, f"no such file or folder; name {KNOWN}")
    if not Path(place).is_dir() and _reader(place) is None:
        raise SourceError(place, f"it is not of a kind that is read; name {KNOWN}")
    return None


def _check_url(place: str) -> None:
    system, path = file_system(place)
    try:
        kind = system.info(path)["type"]
    except FileNotFoundError:
        raise SourceError(place, f"there is nothing at this address; name {KNOWN}") from None
    except Exception as error:  # every file system raises its own kinds
        raise SourceError(place, f"{why(error)}; check the address and the credentials") from error
    if kind == "file" and _reader(place) is None and not is_web(place):  # where folders are pages, which are files
        raise SourceError(place, f"it is not of a kind that is read; name {KNOWN}")


def _is_pattern(place: str) -> bool:
    """A file whose name has brackets is no pattern, nor is a query of the web."""
    if is_web(place):
        return glob.has_magic(place.partition("?")[0])
    return glob.has_magic(place) and (is_url(place) or not Path(place).exists())


def _reader(place: str) -> Callable[[str], Iterator[Item]] | None:
    """What reads a file; None for a folder or a pattern."""
    if _is_pattern(place) or (not is_url(place) and Path(place).is_dir()):
        return None
    return _READERS.get(ending(place))
