"""Read Qt's binary resource files (``rcc --binary``), which is how GCompris carries its photos.

Big-endian throughout: a header with the places of a tree, of the names and of the data; a tree of nodes, children after
their parent in one row; a name is UTF-16 behind its length and hash; data are bytes behind their length.

Source:
    ``qtbase/src/corelib/io/qresource.cpp`` and ``qtbase/src/tools/rcc/rcc.cpp``, Qt 5.15.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPRESSED, DIRECTORY, ZSTD = 1, 2, 4
HEADER = struct.Struct(">4sIIII")
NODE = {1: struct.Struct(">IHII"), 2: struct.Struct(">IHIIQ"), 3: struct.Struct(">IHIIQ")}


class UnreadableResourceError(ValueError):
    """The file is no resource file that Qt 5 or Qt 6 writes."""


def read_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every file in a resource file, by its path inside.

    Raises:
        UnreadableResourceError: It is no resource file, or a file in it is compressed with zstd.
    """
    magic, version, tree, content, names = HEADER.unpack_from(data)
    if magic != b"qres" or version not in NODE:
        raise UnreadableResourceError(f"no resource file of version 1 to 3: {magic!r} {version}")
    node = NODE[version]
    waiting = [(0, "")]
    while waiting:
        index, path = waiting.pop()
        name, flags, first, second, *_ = node.unpack_from(data, tree + index * node.size)
        path = f"{path}/{_name(data, names + name)}" if index else path
        if flags & DIRECTORY:
            waiting.extend((child, path) for child in range(second, second + first))
        else:
            yield path.lstrip("/"), _content(data, content + second, flags, path)


def _name(data: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">H", data, at)
    return data[at + 6 : at + 6 + 2 * length].decode("utf-16-be")


def _content(data: bytes, at: int, flags: int, path: str) -> bytes:
    if flags & ZSTD:
        raise UnreadableResourceError(f"{path} is compressed with zstd, which Python 3.10 to 3.13 cannot read")
    (length,) = struct.unpack_from(">I", data, at)
    block = data[at + 4 : at + 4 + length]
    return zlib.decompress(block[4:]) if flags & COMPRESSED else block
