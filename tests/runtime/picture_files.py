"""Picture files written byte by byte, with what OpenCV's encoders do not offer."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GREY, COLOR, GREY_ALPHA, COLOR_ALPHA = 0, 2, 4, 6


def encode(ending: str, picture: NDArray[np.uint8]) -> bytes:
    """RGB in; lossless for ``.png`` and ``.webp``."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 100] if ending == ".jpg" else []
    options += [cv2.IMWRITE_WEBP_QUALITY, 101] if ending == ".webp" else []
    return bytes(cv2.imencode(ending, picture[..., ::-1], options)[1].tobytes())


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: NDArray[np.unsignedinteger], kind: int, *extra: bytes) -> bytes:
    """A PNG of ``[H, W, samples]`` as they are, 8 or 16 bits each."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, kind, 0, 0, 0)
    rows = samples.astype(samples.dtype.newbyteorder(">"))
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF block whose one entry is the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_with_exif(jpeg: bytes, block: bytes) -> bytes:
    body = b"Exif\0\0" + block
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def webp_with_exif(webp: bytes, height: int, width: int, block: bytes) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + sides
    padded = block + b"\0" * (len(block) % 2)
    body = b"WEBP" + extended + webp[12:] + b"EXIF" + struct.pack("<I", len(block)) + padded
    return b"RIFF" + struct.pack("<I", len(body)) + body
