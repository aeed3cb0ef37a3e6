"""Smooth masks and the images that they keep, each with its derivative."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

MARGIN = 3
"""Steps around the image that masks reach into; also sigma, in steps."""
REACH = 4
"""Parameters on either side of a cell that it hears of."""
COLDNESS = 20.0
"""Of the smooth maximum: 0 is the mean, endless the maximum."""
LEVELS = 8
"""Of the pyramid."""


class SmoothMasks:
    """Parameters in [0, 1] on a coarse grid become a mask: ``M(u) = smax_k w(|u - u_k|) m_k``.

    ``w(d) = exp(-2 max(d / sigma - 1/2, 0)^2)``; smax is the mean of its arguments v weighted by softmax of ``20 v``.

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        step: Pixels between parameters; sigma is 3 steps.

    Attributes:
        grid: Shape of the parameters.
        image: Where the image lies in a mask, which reaches further by sigma.

    Source:
        Fong, Patrick & Vedaldi, arXiv:1910.08485, section 3.2; constants of the authors' TorchRay.
    """

    _padding = 1 + 2 * MARGIN

    def __init__(self, height: int, width: int, step: int) -> None:
        self.step = step
        self.grid = (math.ceil(height / step), math.ceil(width / step))
        margin = MARGIN * step
        self.image = (slice(margin, margin + height), slice(margin, margin + width))
        along = np.arange(step)[:, None] / step + REACH - np.arange(2 * REACH + 1)  # [r, k]: steps between them
        apart = np.hypot(along[:, None, :, None], along[None, :, None, :]) / MARGIN
        self._weights = np.exp(-2 * np.maximum(apart - 0.5, 0) ** 2).reshape(step**2, -1)  # [r r', k k']

    def generate(self, parameters: Floats) -> tuple[Floats, Floats]:
        """The mask, ``[H + margins, W + margins]``, and the derivative that :meth:`pull` takes."""
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(parameters, self._padding), (2 * REACH + 1,) * 2)
        weights = self._weights.astype(parameters.dtype)
        cells = [_smooth_maximum(row.reshape(len(row), 1, -1) * weights) for row in windows]
        mask = np.stack([values for values, _ in cells]).reshape(*windows.shape[:2], self.step, self.step)
        whole = mask.swapaxes(1, 2).reshape(self.step * len(mask), -1)
        ends = self.step * np.array(windows.shape[:2]) - self.step + 1
        return np.clip(whole[: ends[0], : ends[1]], 0, 1), np.stack([slopes * weights for _, slopes in cells])

    def pull(self, derivative: Floats, gradient: Floats) -> Floats:
        """The gradient by the mask becomes that by the parameters."""
        rows, columns = derivative.shape[:2]
        cut = ((0, rows * self.step - len(gradient)), (0, columns * self.step - gradient.shape[1]))
        cells = np.pad(gradient, cut).reshape(rows, self.step, columns, self.step).swapaxes(1, 2)
        windows = (cells.reshape(rows, columns, 1, -1) @ derivative).reshape(rows, columns, 2 * REACH + 1, -1)
        padded = np.zeros([size + 2 * self._padding for size in self.grid], gradient.dtype)
        for down, right in np.ndindex(windows.shape[2:]):
            padded[down : down + rows, right : right + columns] += windows[:, :, down, right]
        return padded[self._padding : -self._padding, self._padding : -self._padding]


def _smooth_maximum(values: Floats) -> tuple[Floats, Floats]:
    """``M = sum_k s_k v_k``, ``s = softmax 20 v``; ``dM/dv_k = s_k (1 + 20 (v_k - M))``. Of values in [0, 1]."""
    shares = np.exp(COLDNESS * values)  # at most 5e8: no overflow
    shares /= shares.sum(axis=-1, keepdims=True)
    maximum = (shares * values).sum(axis=-1)
    return maximum, shares * (1 + COLDNESS * (values - maximum[..., None]))


class Pyramid:
    """An image from all blurred, level 0, to sharp: ``x(u) = y_l(u)``, ``l = 7 M(u)``, linear between levels.

    Args:
        image: ``[C, H, W]``.
        baseline: ``[C]``: what lies outside.
        sigma: Of level 0, in pixels; it falls to 0 in equal steps.
    """

    def __init__(self, image: Floats, baseline: Floats, sigma: float) -> None:
        shades = baseline[:, None, None].astype(image.dtype)
        levels = [_blurred(image - shades, sigma * (1 - level / (LEVELS - 1))) for level in range(LEVELS)]
        self._levels = np.stack(levels) + shades  # [level, C, H, W]

    def apply(self, mask: Floats) -> tuple[Floats, Floats]:
        """The image that a mask ``[H, W]`` keeps, and its derivative by the mask, both ``[C, H, W]``."""
        level = np.minimum(np.floor(mask * (LEVELS - 1)).astype(np.intp), LEVELS - 2)[None, None]
        below, above = (np.take_along_axis(self._levels, level + more, axis=0)[0] for more in (0, 1))
        share = mask * (LEVELS - 1) - level[0]
        return below + share * (above - below), (LEVELS - 1) * (above - below)


def _blurred(planes: Floats, sigma: float) -> Floats:
    """A Gaussian four sigma wide to either side, zeros outside."""
    if sigma == 0:
        return planes
    taps = 2 * math.ceil(4 * sigma) + 1
    soft = [cv2.GaussianBlur(plane, (taps, taps), sigma, borderType=cv2.BORDER_CONSTANT) for plane in planes]
    return np.stack(soft)
