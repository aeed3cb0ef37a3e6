"""What a rewritten file does to raw maps last: enlarge, then normalise. Restated in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def minmax(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each map of ``[..., cells]`` to [0, 1]; a constant map becomes zeros."""
    low, high = maps.min(axis=-1, keepdims=True), maps.max(axis=-1, keepdims=True)
    scaled: NDArray[np.float64] = (maps - low) / np.where(high > low, high - low, 1)
    return scaled


def upsample(maps: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Bilinear, half-pixel centres, edges clamped: ``[..., H, W] -> [..., *size]``."""
    down, across = (_weights(before, after) for before, after in zip(maps.shape[-2:], size, strict=True))
    return down @ maps @ across.T


def _weights(before: int, after: int) -> NDArray[np.float64]:
    """``[after, before]``: each new pixel's shares of the two old ones around its centre."""
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    lower = np.floor(centres).astype(int)
    upper, share = np.minimum(lower + 1, before - 1), centres - lower
    weights = np.zeros((after, before))
    rows = np.arange(after)
    weights[rows, lower] += 1 - share
    weights[rows, upper] += share
    return weights
