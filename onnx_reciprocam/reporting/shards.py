"""Pictures inside tar and Parquet files, found again by name."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from onnx_reciprocam.dataset.items import HeldItem
from onnx_reciprocam.dataset.shards import read_parquet, read_tar
from onnx_reciprocam.errors import ImageError

if TYPE_CHECKING:
    from onnx_reciprocam.dataset.items import Item

_KEPT = 2
"""Shards whose contents are listed in memory: rows come shard after shard."""
_NAME = re.compile(r"(.+?\.(?:tar|tar\.gz|tgz))(/.+)|(.+\.parquet)(#\d+)", re.DOTALL | re.IGNORECASE)


def split(path: str) -> tuple[str, str]:
    """``a.tar/b.jpg`` into ``a.tar`` and ``/b.jpg``, ``c.parquet#12`` into ``c.parquet`` and ``#12``; else two empty ones."""
    found = _NAME.fullmatch(path)
    return ("", "") if found is None else (found[1] or found[3], found[2] or found[4])


class Shards:
    """Contents of the last few shards."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Item]] = {}
        self._lock = threading.Lock()

    def item(self, shard: str, rest: str) -> Item:
        """A picture of a shard.

        Args:
            shard: A file or URL.
            rest: What :func:`split` left of the picture's path.

        Raises:
            ImageError: It is not in there any more, or in a compressed one, which would have to be read through.
            SourceError: The shard cannot be read.
        """
        with self._lock:
            if shard not in self._items:
                while len(self._items) >= _KEPT:
                    del self._items[next(iter(self._items))]
                self._items[shard] = _listed(shard)
            found = self._items[shard].get(rest)
        if found is None:
            raise ImageError(shard + rest, "it is no longer in its shard, or that is compressed")
        return found


def _listed(shard: str) -> dict[str, Item]:
    """Items by the rest of their names; those whose bytes came along are left out."""
    items = read_parquet(shard) if shard.lower().endswith(".parquet") else read_tar(shard)
    listed: dict[str, Item] = {}
    for item in items:
        if isinstance(item, HeldItem):
            break
        listed[item.name.removeprefix(shard)] = item
    return listed
