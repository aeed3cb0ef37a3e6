"""Pictures of 64 x 48 pixels wherever a test wants them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = 64, 48


@cache
def _encoded(ending: str, width: int, height: int) -> bytes:
    return cv2.imencode(ending, np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def put(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Write a picture of the path's kind, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix.lower(), width, height))
    return path


def puts(folder: Path, *names: str) -> list[Path]:
    return [put(folder / name) for name in names]


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Within a picture, not empty, in quarters of a pixel: sums and text of them are exact."""
    left, right = sorted(draw(st.lists(st.integers(0, 4 * WIDTH), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.integers(0, 4 * HEIGHT), min_size=2, max_size=2, unique=True)))
    return left / 4, top / 4, right / 4, bottom / 4


file_names = st.text(
    st.characters(categories=["L", "N"], include_characters=" _-.,;'\"()"), min_size=1, max_size=12
).map(lambda name: f"x{name}.png")
"""What quotes, commas and letters of any script a file's name may have."""
