"""The external data files that a model's bytes name, found without the ``onnx`` package and without parsing weights.

Only the messages that can hold a tensor are entered; see onnx.proto for the numbers of their fields, and
https://protobuf.dev/programming-guides/encoding for how they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Per message, which fields lead to external data, and to what message."""


def declared_files(model: bytes | mmap) -> set[str]:
    """Every location that a tensor of the model names.

    Raises:
        ValueError: The bytes are no protobuf, or a kind of it that ONNX does not use, which other readers may skip.
    """
    found = set()
    pending = [("model", memoryview(model))]
    while pending:
        kind, message = pending.pop()
        if kind == "entry":
            entry = {number: bytes(value) for number, value in _fields(message)}
            if entry.get(1) == b"location":
                found.add(entry.get(2, b"").decode("utf-8", "surrogateescape"))
        else:
            pending += ((FIELDS[kind][number], value) for number, value in _fields(message) if number in FIELDS[kind])
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of the fields that hold messages or strings."""
    position, end = 0, len(message)
    while position < end:
        tag, start = _varint(message, position)
        wire = tag & 7
        if wire == VARINT:
            _, position = _varint(message, start)
        elif wire in {FIXED32, FIXED64}:
            position = start + (4 if wire == FIXED32 else 8)
        elif wire == BYTES:
            length, start = _varint(message, start)
            position = start + length
            yield tag >> 3, message[start:position]
        else:
            raise ValueError("a group")
        if position > end or tag > 0xFFFFFFFF:
            raise ValueError("cut short")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number of seven bits per byte, and where it ends."""
    value = 0
    for i, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, position + i + 1
    raise ValueError("cut short")
