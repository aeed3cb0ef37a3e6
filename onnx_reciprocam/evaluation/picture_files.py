"""What lies in a folder: pictures by their ending, folders, annotations; and a picture's size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from onnx_reciprocam.errors import ImageError, SourceError
from onnx_reciprocam.runtime.images import ENDINGS
from onnx_reciprocam.runtime.picture_header import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from onnx_reciprocam.runtime.picture_header import Header

MASKS = "masks"
"""A folder of this name holds masks, wherever it stands; its pictures are never explained."""

_START = 1 << 16  # A JPEG's frame header nearly always stands in here.


class Listing(NamedTuple):
    """One folder, sorted by name, without what is hidden."""

    pictures: list[Path]
    folders: list[Path]
    annotations: list[Path]


def list_folder(folder: Path) -> Listing:
    """Pictures, folders and .xml files of a folder; links count as what they point to.

    Raises:
        SourceError: The folder cannot be read, or a picture in it is a broken link.
    """
    listing = Listing([], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                _sort_in(listing, folder / entry.name, entry)
    except OSError as error:
        raise SourceError(str(folder), f"{(error.strerror or str(error)).lower()}; name a folder to read") from error
    return listing


def _sort_in(listing: Listing, path: Path, entry: os.DirEntry[str]) -> None:
    if entry.name.startswith(".") or entry.name == "__MACOSX":  # `._a.jpg` is no picture
        return
    ending = path.suffix.lower()
    if entry.is_dir():
        listing.folders.append(path)
    elif ending == ".xml":
        listing.annotations.append(path)
    elif ending in ENDINGS:
        if not entry.is_file():
            raise SourceError(str(path), "it is a broken link, or no file; repair or remove it")
        listing.pictures.append(path)


def walk(folder: Path, above: frozenset[Path] = frozenset()) -> Listing:
    """:func:`list_folder` of a folder and of all in it, but masks; a link back to a folder ``above`` is not followed.

    Raises:
        SourceError: As for :func:`list_folder`.
    """
    real = folder.resolve()
    whole = Listing([], [], [])
    if real in above:
        return whole
    here = list_folder(folder)
    for listing in [here, *(walk(inner, above | {real}) for inner in here.folders if inner.name != MASKS)]:
        for known, more in zip(whole, listing, strict=True):
            known.extend(more)
    return whole


def find_file(folder: Path, name: str) -> Path | None:
    """The file called ``name`` from ``folder``, also where it was written on Windows; None without one."""
    spellings = dict.fromkeys((name, name.replace("\\", "/")))
    return next((folder / spelled for spelled in spellings if name and _is_file(folder / spelled)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a NUL in it
        return False


def picture_size(picture: Path) -> tuple[int, int]:
    """Width and height of a picture held upright, off its first bytes where it is a JPEG.

    Raises:
        ImageError: It cannot be read, or is no such picture.
    """
    try:
        with picture.open("rb") as file:
            data = file.read(_START)
            header = _jpeg_header(data) or read_header(data + file.read())
    except OSError as error:
        raise ImageError(str(picture), (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        raise ImageError(str(picture), str(error)) from error
    return (header.height, header.width) if header.orientation > 4 else (header.width, header.height)


def _jpeg_header(start: bytes) -> Header | None:
    """The header of a JPEG off its start; None if it is none, or its header goes on."""
    try:
        return read_header(start + b"\xff\xd9") if start.startswith(b"\xff\xd8") else None  # with an end to find
    except ValueError:
        return None
