"""The masks of ReciproCAM in numpy: the naive, dense form that documentation and checks use.

A rewritten file never contains these arrays; it derives what it needs from the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32) / 16
"""Weights of a cell and its eight neighbours (ViT-ReciproCAM, arXiv:2310.02588, section 3.2)."""


def pixel_masks(height: int, width: int) -> NDArray[np.float32]:
    """``[N, H, W]``: 1 at cell n, 0 elsewhere (arXiv:2209.14074, section 3)."""
    return np.eye(height * width, dtype=np.float32).reshape(-1, height, width)


def gaussian_masks(height: int, width: int) -> NDArray[np.float32]:
    """``[N, H, W]``: :data:`KERNEL` centred at cell n, cropped at the border."""
    masks = np.zeros((height * width, height, width), np.float32)
    for cell in range(height * width):
        row, column = divmod(cell, width)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if 0 <= row + down < height and 0 <= column + right < width:
                    masks[cell, row + down, column + right] = KERNEL[down + 1, right + 1]
    return masks


def masked_copies(features: NDArray[np.floating], mask: str, height: int, width: int) -> NDArray[np.floating]:
    """Every masked copy of ``features``.

    Args:
        features: ``[B, C, H, W]``.
        mask: ``pixel``, ``gaussian`` or ``replicated``.
        height: Of the grid; must be the features' own.
        width: Likewise.

    Returns:
        ``[N, B, C, H, W]`` in the features' dtype.
    """
    if mask == "pixel":
        return np.asarray(np.where(pixel_masks(height, width)[:, None, None] > 0, features, features.dtype.type(0)))
    weights = gaussian_masks(height, width)[:, None, None].astype(features.dtype)
    if mask == "gaussian":
        return np.asarray(weights * features)
    vectors = np.moveaxis(features.reshape(*features.shape[:2], -1), -1, 0)  # [N, B, C]: each cell's own features
    return np.asarray(weights * vectors[..., None, None])
