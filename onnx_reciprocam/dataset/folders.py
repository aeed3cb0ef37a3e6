"""Folders of pictures at any depth, here or behind a URL, one folder in memory at a time."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.items import BrokenItem, FileItem
from onnx_reciprocam.dataset.places import file_system, why
from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.runtime.images import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.dataset.items import Item


def walk_folder(folder: str, above: frozenset[str] = frozenset()) -> Iterator[Item]:
    """Its pictures by name, then those of its folders; hidden ones are left out, links back to it not followed.

    A folder that cannot be read is an item that cannot be read, so that its absence shows among the results.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    pictures: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":  # `._a.jpg` is no picture
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif _is_picture(entry.name):
                    pictures.append(entry.name)
    except OSError as error:
        yield BrokenItem(folder, why(error))
        return
    for name in sorted(pictures):
        yield FileItem(os.path.join(folder, name))  # noqa: PTH118 - ten million of them
    for name in sorted(folders):
        yield from walk_folder(os.path.join(folder, name), above | {real})  # noqa: PTH118 - likewise


def walk_remote(url: str) -> Iterator[str]:
    """The pictures behind a URL, or whatever matches one with a pattern in it.

    Raises:
        SourceError: The listing fails.
    """
    system, path = file_system(url)
    try:
        if any(mark in path for mark in "*?["):
            yield from (system.unstrip_protocol(each) for each in sorted(system.glob(path)))
            return
        for folder, _, names in system.walk(path, on_error="raise"):
            for name in sorted(names):
                if _is_picture(name) and not name.startswith("."):
                    yield system.unstrip_protocol(f"{folder.rstrip('/')}/{name}")
    except Exception as error:  # every file system raises its own kinds
        raise SourceError(url, f"{why(error)}; check the address and the credentials") from error


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in ENDINGS
