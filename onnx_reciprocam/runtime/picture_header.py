"""Size and orientation of a JPEG, PNG or WebP file, read off its first bytes without decoding a pixel."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # Those three are tables.
_ORIENTATION_TAG = 0x0112


class Header(NamedTuple):
    """What the file declares: pixels as stored, and how to turn them (EXIF: 1 to 8, 1 is upright)."""

    height: int
    width: int
    orientation: int


def read_header(data: bytes) -> Header:
    """The header of a picture file.

    Raises:
        ValueError: It is no such picture, or cut short or damaged before its size is known.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
    except struct.error as error:
        raise ValueError("the picture is truncated") from error
    raise ValueError("not a JPEG, PNG or WebP picture")


def _jpeg(data: bytes) -> Header:
    """Segments up to the frame header (ITU T.81, B.1.1)."""
    orientation = 1
    position = 2
    while True:
        mark, code, length = struct.unpack_from(">BBH", data, position)
        if mark != 0xFF:
            raise ValueError("the picture is damaged")
        if code == 0xFF:
            position += 1
            continue
        if code in _JPEG_FRAMES:
            if data.rfind(b"\xff\xd9") < position:  # Some decoders fill what is missing with grey.
                raise ValueError("the picture is truncated")
            height, width = struct.unpack_from(">HH", data, position + 5)
            return Header(height, width, orientation)
        body = data[position + 4 : position + 2 + length]
        if code == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
        position += 2 + length


def _png(data: bytes) -> Header:
    """IHDR and, wherever it stands, eXIf (W3C PNG, third edition, 11.2 and 11.3)."""
    height = width = 0
    orientation = 1
    for kind, body in _png_chunks(data):
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", body)
        elif kind == b"eXIf":
            orientation = _orientation(body)
    return Header(height, width, orientation)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every chunk up to IEND, checked here because libpng reports a bad one on stderr."""
    position, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise ValueError("the picture is damaged")
        yield kind, body
        position += 12 + length


def without_profile(data: bytes) -> bytes:
    """A picture file without its PNG's colour profile: OpenCV does not apply it, but libpng may complain of it on stderr."""
    if not data.startswith(_PNG) or b"iCCP" not in data[: data.find(b"IDAT")]:  # profiles stand before the pixels
        return data
    position = len(_PNG)
    for kind, body in _png_chunks(data):
        end = position + 12 + len(body)
        if kind == b"iCCP":
            return data[:position] + data[end:]
        position = end
    return data


def _webp(data: bytes) -> Header:
    """The first chunk has the size, an EXIF chunk may follow the pixels (RFC 9649, 2.5 to 2.7)."""
    (kind,) = struct.unpack_from("4s", data, 12)
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", data, 24)
        width, height = 1 + low_w + (high_w << 16), 1 + low_h + (high_h << 16)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header(height, width, _webp_orientation(data))


def _webp_orientation(data: bytes) -> int:
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            return _orientation(data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0"))
        position += 8 + length + length % 2
    return 1


def _orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory of an EXIF block; upright where the block is damaged or lacks it."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "<")
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
