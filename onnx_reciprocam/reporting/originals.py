"""The pictures that a batch explained, as far as they are still there."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from onnx_reciprocam.dataset.items import FileItem
from onnx_reciprocam.dataset.places import is_url
from onnx_reciprocam.errors import ImageError, ReciprocamError
from onnx_reciprocam.reporting.shards import Shards, split
from onnx_reciprocam.runtime.images import Picture, read_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx_reciprocam.dataset.items import Item

_TRIES = 5
"""Pictures behind one address that may fail before the others there are not tried."""


class Originals:
    """Pictures by the paths of a batch's rows.

    Args:
        folder: Of the batch; a relative path is looked up from the working folder, from here, and from the folders above.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._homes = (Path.cwd(), self._folder, *self._folder.parents)
        self._shards = Shards()
        self._failed: Counter[str] = Counter()
        self._reached: set[str] = set()

    def read(self, told: Mapping[str, Any]) -> Picture:
        """A row's picture, the same as was explained.

        Raises:
            ImageError: It is gone, cannot be read, or is another by now.
        """
        path = told["path"]
        data = self._bytes(path)
        if told.get("sha256") not in {None, hashlib.sha256(data).hexdigest()}:
            raise ImageError(path, "it has changed since")
        picture = read_image(data)
        if None not in (told.get("height"), told.get("width")) and picture.shape[:2] != (told["height"], told["width"]):
            raise ImageError(path, "it has another size than before")
        return picture

    def address(self, path: str) -> str | None:
        """Where a page in the batch's folder finds a picture, None where it is no file of its own."""
        file = self._file(path)
        if file is None:
            return None
        try:
            way = Path(os.path.relpath(file, self._folder)).as_posix()
        except ValueError:  # another drive
            return file.as_uri()
        return quote(f"./{way}")

    def _bytes(self, path: str) -> bytes:
        """Of the picture file, wherever it is; a place that answers nobody is soon left alone."""
        root = "/".join(path.split("/")[:3]) if is_url(path) else ""
        if root and root not in self._reached and self._failed[root] >= _TRIES:
            raise ImageError(path, f"not tried, since others of {root} could not be read")
        try:
            data = self._item(path).read()
        except ReciprocamError as error:
            self._failed[root] += 1
            raise ImageError(path, getattr(error, "reason", str(error))) from error
        self._reached.add(root)
        return data

    def _item(self, path: str) -> Item:
        if (file := self._file(path)) is not None:
            return FileItem(str(file))
        shard, rest = split(path)
        if not shard:
            if is_url(path):
                return FileItem(path)
            raise ImageError(path, "it is no longer there")
        if not is_url(shard):
            if (file := self._file(shard)) is None:
                raise ImageError(path, f"{Path(shard).name} is no longer there")
            shard = str(file)
        return self._shards.item(shard, rest)

    def _file(self, path: str) -> Path | None:
        if is_url(path):
            return None
        try:
            return next((place for place in (Path(folder, path) for folder in self._homes) if place.is_file()), None)
        except (OSError, ValueError):  # a name too long, a NUL in it
            return None
