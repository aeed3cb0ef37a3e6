# ruff: noqa: INP001 - scripts, no part of the package
"""Handwritten digits among pieces of others, as in "cluttered MNIST" (Mnih et al., arXiv:1406.6247, section 4.2).

Every canvas is 56 x 80 pixels, grey: six pieces of 9 x 9 pixels cut out of digits and put anywhere, and one whole digit,
turned and scaled a little, whose frame begins up to two pixels after a multiple of eight. Patches of eight pixels then
cut digits in few ways, and a small network learns in minutes what would take hours if digits began anywhere.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HEIGHT, WIDTH = 56, 80
PICTURE = 28  # side of a picture of MNIST
MARGIN = 4  # of it, empty on every side
FRAME = 32  # of a digit, turned and scaled
STEP, JITTER = 8, 3
PIECES, PIECE = 6, 9
INK = 64  # a grey value that is seen
SPLITS = {"training": slice(4000), "validation": slice(4000, 4500), "held out": slice(4500, 5000)}


@dataclass(frozen=True)
class Digits:
    """Pictures ``[n, 28, 28]``, uint8, ink bright, and what they show ``[n]``."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Canvases:
    """What the network sees, and what only its judge knows.

    Args:
        pixels: ``[n, 56, 80]``, uint8.
        labels: ``[n]``, the digit.
        boxes: ``[n, 4]``, its ink's first row and column, last row and column plus one, in pixels.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.int64]


def read_digits(path: Path, split: str) -> Digits:
    """Read one of :data:`SPLITS` of ``mnist_5k.csv.gz``: 784 grey values and the digit per line, shuffled with seed 0."""
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    chosen = table[np.random.default_rng(0).permutation(len(table))[SPLITS[split]]]
    return Digits(chosen[:, :-1].astype(np.uint8).reshape(-1, PICTURE, PICTURE), chosen[:, -1])


class Painter:
    """Draws canvases from some digits; each is turned and scaled in ``variants`` ways first."""

    def __init__(self, digits: Digits, seed: int, variants: int) -> None:
        self._digits, self._rng = digits, np.random.default_rng(seed)
        self._inks = [[_transformed(ink, self._rng) for _ in range(variants)] for ink in digits.pictures]

    def draw(self, indices: NDArray[np.int64]) -> Canvases:
        """One canvas for each of ``indices``; the pieces are cut out of any of the digits."""
        pixels = np.zeros((len(indices), HEIGHT, WIDTH), np.uint8)
        boxes = [self._paint(canvas, self._inks[index]) for canvas, index in zip(pixels, indices, strict=True)]
        return Canvases(pixels, self._digits.labels[indices], np.array(boxes))

    def any(self, count: int) -> Canvases:
        """Canvases of digits taken at random."""
        return self.draw(self._rng.integers(len(self._inks), size=count))

    def _paint(self, canvas: NDArray[np.uint8], inks: list[NDArray[np.uint8]]) -> tuple[int, int, int, int]:
        """Draw on an empty canvas; returns the box of the digit."""
        for _ in range(PIECES):
            row, column = self._rng.integers((HEIGHT - PIECE + 1, WIDTH - PIECE + 1))
            _paste(canvas, self._piece(), row, column)
        row, column = self._rng.integers((HEIGHT - FRAME, WIDTH - FRAME)) // STEP * STEP + self._rng.integers(
            JITTER, size=2
        )
        ink = inks[self._rng.integers(len(inks))]
        _paste(canvas, ink, row, column)
        top, left, bottom, right = _box(ink)
        return row + top, column + left, row + bottom, column + right

    def _piece(self) -> NDArray[np.uint8]:
        row, column = self._rng.integers(MARGIN, PICTURE - MARGIN - PIECE + 1, 2)
        picture = self._digits.pictures[self._rng.integers(len(self._inks))]
        piece: NDArray[np.uint8] = picture[row : row + PIECE, column : column + PIECE]
        return piece


def _transformed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turned by up to 10 degrees and scaled by 1 to 1.25 in its frame, each pixel bilinear between its four sources."""
    scale, angle = rng.uniform(1, 1.25), rng.uniform(-np.pi / 18, np.pi / 18)
    y, x = (np.mgrid[:FRAME, :FRAME] - (FRAME - 1) / 2) / scale
    rows = np.cos(angle) * y - np.sin(angle) * x + (PICTURE - 1) / 2
    columns = np.sin(angle) * y + np.cos(angle) * x + (PICTURE - 1) / 2
    padded = np.pad(picture.astype(np.float64), 1)
    rows, columns = (np.clip(axis + 1, 0, PICTURE + 0.999) for axis in (rows, columns))
    top, left = rows.astype(int), columns.astype(int)
    down, right = rows - top, columns - left
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return np.asarray(np.rint(upper * (1 - down) + lower * down), np.uint8)


def _box(picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """The smallest rectangle with all the ink: top, left, bottom, right."""
    rows, columns = (np.flatnonzero((picture >= INK).any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _paste(canvas: NDArray[np.uint8], ink: NDArray[np.uint8], row: int, column: int) -> None:
    """The brighter pixel on top."""
    place = canvas[row : row + ink.shape[0], column : column + ink.shape[1]]
    np.maximum(place, ink, out=place)
