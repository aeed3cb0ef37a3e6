"""The metrics the slow way: one image, one pixel, one step at a time, from the papers' words and scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import integrate, ndimage, stats

Score = Callable[[np.ndarray], np.ndarray]


def minmax(saliency: np.ndarray) -> np.ndarray:
    low, high = min(saliency.flat), max(saliency.flat)
    out = np.zeros(saliency.shape)
    for cell in np.ndindex(saliency.shape):
        out[cell] = 0 if high == low else (saliency[cell] - low) / (high - low)
    return out


def upsample(saliency: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where a pixel's centre falls on the grid of cell centres, a straight line both ways; edges held."""
    rows, columns = saliency.shape
    out = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) / height * rows - 0.5, 0), rows - 1)
            x = min(max((j + 0.5) / width * columns - 0.5, 0), columns - 1)
            for row in range(rows):
                for column in range(columns):
                    out[i, j] += max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column)) * saliency[row, column]
    return out


def masked(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    out = np.zeros_like(image)
    for channel, row, column in np.ndindex(image.shape):
        out[channel, row, column] = image[channel, row, column] * saliency[row, column]
    return out


def drop(before: float, after: float) -> float:
    return (before - after) / before if before > after else 0.0


def coherency(saliency: np.ndarray, again: np.ndarray) -> float:
    if len(set(saliency.flat)) == 1 or len(set(again.flat)) == 1:
        return 0.0
    return (1 + stats.pearsonr(saliency.ravel(), again.ravel()).statistic) / 2


def complexity(saliency: np.ndarray) -> float:
    return sum(saliency.flat) / saliency.shape[0] / saliency.shape[1]


def adcc(drops: np.ndarray, coherencies: np.ndarray, complexities: np.ndarray) -> float:
    terms = [np.mean(coherencies), 1 - np.mean(complexities), 1 - np.mean(drops)]
    with np.errstate(over="ignore"):  # of next to nothing: the mean is 0
        return float(stats.hmean(terms))


def order(saliency: np.ndarray) -> list[tuple[int, int]]:
    """Pixels, the most salient first, equals in reading order (sorted keeps it)."""
    return sorted(np.ndindex(saliency.shape), key=lambda pixel: -saliency[pixel])


def area(score: Score, first: np.ndarray, last: np.ndarray, saliency: np.ndarray, *, c: int, steps: int) -> float:
    """Pixel after pixel of ``first`` becomes that of ``last``; a point of the curve after each of ``steps`` groups."""
    image, pixels = first.copy(), saliency.size
    shares, curve = [0.0], [score(image[None])[0, c]]
    groups = [step * pixels // steps for step in range(1, steps + 1)]
    for done, (row, column) in enumerate(order(saliency), start=1):
        image[:, row, column] = last[:, row, column]
        if done in groups:
            shares.append(done / pixels)
            curve.append(score(image[None])[0, c])
    return float(integrate.trapezoid(curve, shares))


def blurred(image: np.ndarray) -> np.ndarray:
    """``mirror`` leaves the edge pixel unrepeated; radius 5 makes 11 taps."""
    soft = [ndimage.gaussian_filter(plane.astype(float), 5, mode="mirror", radius=5) for plane in image]
    return np.array(soft).astype(image.dtype)


def pointing(saliency: np.ndarray, thing: np.ndarray, tolerance: float) -> float:
    row, column = order(saliency)[0]
    return float(any(thing[i, j] and np.hypot(i - row, j - column) <= tolerance for i, j in np.ndindex(saliency.shape)))


def energy(saliency: np.ndarray, thing: np.ndarray) -> float:
    inside = total = 0.0
    for pixel in np.ndindex(saliency.shape):
        total += saliency[pixel]
        inside += saliency[pixel] if thing[pixel] else 0
    return inside / total if total else 0.0
