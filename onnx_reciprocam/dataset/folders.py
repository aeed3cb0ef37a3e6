"""Folders and globs, here or behind a URL, one folder in memory at a time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.items import BrokenItem
from onnx_reciprocam.dataset.places import file_system, is_url, why
from onnx_reciprocam.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.dataset.patterns import Pattern


def walk(pattern: Pattern) -> Iterator[str | BrokenItem]:
    """The files that a pattern wants: those of a folder by name, then those of its folders.

    A local folder that cannot be read is an item that cannot be read, so that its absence shows among the results.

    Raises:
        SourceError: A folder behind a URL cannot be listed.
    """
    return _walk(pattern, pattern.folder, pattern.begin(), frozenset())


def _walk(pattern: Pattern, folder: str, states: frozenset[int], above: frozenset[str]) -> Iterator[str | BrokenItem]:
    remote = is_url(folder)
    above |= {folder if remote else os.path.realpath(folder)}
    files: list[str] = []
    folders: list[str] = []
    try:
        for name, inner in _remote(folder) if remote else _local(folder):
            if inner:
                folders.append(name)
            elif pattern.takes(states, name):
                files.append(name)
    except OSError as error:
        yield BrokenItem(folder, why(error))
        return
    for name in sorted(files):
        yield _below(folder, name, remote=remote)
    for name in sorted(folders):
        path = _below(folder, name, remote=remote)
        if remote and not name:
            yield BrokenItem(path, "a folder without a name cannot be listed")
            continue
        again = not remote and os.path.islink(path) and os.path.realpath(path) in above  # noqa: PTH114 - a million of them
        if inside := pattern.enter(states, name, again=again):
            yield from _walk(pattern, path, inside, above)


def _below(folder: str, name: str, *, remote: bool) -> str:
    return f"{folder.rstrip('/')}/{name}" if remote else os.path.join(folder, name)  # noqa: PTH118 - ten million of them


def _local(folder: str) -> Iterator[tuple[str, bool]]:
    """Names, and whether they are folders."""
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            yield entry.name, entry.is_dir()


def _remote(url: str) -> list[tuple[str, bool]]:
    """Likewise; fsspec's own memory of it is emptied, for it would hold all folders of a bucket in the end."""
    system, path = file_system(url)
    above = f"{path.rstrip('/')}/"
    try:
        found = system.ls(path, detail=True)
        system.invalidate_cache(path)
    except Exception as error:  # every file system raises its own kinds
        raise SourceError(url, f"{why(error)}; check the address and the credentials") from error
    named = [(str(each["name"]).removeprefix(above), each["type"] == "directory") for each in found]
    return [(name.rstrip("/"), inner) for name, inner in named if inner or name not in {"", path}]
