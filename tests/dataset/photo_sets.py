"""A tiny classifier and pictures of noise, some of which are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.dataset import read_rows

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (18, 24)
COUNT, BAD = 23, {3: "not a JPEG, PNG or WebP picture", 10: "the file is empty", 11: "the picture is truncated"}
"""Pictures, and why some cannot be explained."""


def picture(seed: int, ending: str = ".jpg") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return bytes(cv2.imencode(ending, cv2.resize(pixels, (40, 30), interpolation=cv2.INTER_CUBIC))[1])


def contents(count: int = COUNT) -> dict[str, bytes]:
    """Files by name, in order."""
    files = {f"{i:03}.jpg": picture(i) for i in range(count)}
    spoiled = {3: b"a text\n" * 20, 10: b"", 11: picture(11)[:-40]}
    return {name: spoiled.get(i, data) for i, (name, data) in enumerate(files.items())}


def photos(folder: Path, count: int = COUNT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents(count).items():
        (folder / name).write_bytes(data)
    return folder


def plain(folder: Path, **how: Any) -> Path:
    path = folder / "plain.onnx"
    onnx.save(Tiny(size=SIZE, **how).build(), path)
    return path


def explained(folder: Path, **options: Any) -> Path:
    path = folder / "explained.onnx"
    rc.rewrite(plain(folder), path, **options)
    return path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """All but the seconds, which no two runs share."""
    rows = [row for batch in read_rows(folder) for row in batch.to_pylist()]
    for row in rows:
        del row["seconds"]
    return rows
