"""A tiny data set: pictures of noise, a CSV with labels and masks, and the classifier that goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
from tiny_networks import CLASSES, Tiny

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (18, 24)
COUNT = 11


def data_set(folder: Path, count: int = COUNT) -> Path:
    """``data.csv`` with labels for all and masks for every second one; returns its path."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    lines = ["path,label,mask"]
    for i in range(count):
        picture = cv2.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), (30, 26), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i:02}.png"), picture)
        mask = np.zeros((26, 30), np.uint8)
        mask[5 : 12 + i % 5, 4:20] = 255
        cv2.imwrite(str(folder / f"{i:02}.mask.png"), mask)
        lines.append(f"{i:02}.png,{i % CLASSES},{f'{i:02}.mask.png' if i % 2 else ''}")
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def network(folder: Path, **how: object) -> Path:
    path = folder / "plain.onnx"
    onnx.save(Tiny(size=SIZE, **how).build(), path)  # type: ignore[arg-type]
    return path
