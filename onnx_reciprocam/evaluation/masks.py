"""Masks of objects, as files beside their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.runtime.images import read_stored

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Where a mask is above 0 in any channel, of 8 or 16 bits, and not transparent.

    Returns:
        Bool ``[H, W]``.

    Raises:
        ImageError: It cannot be read.
    """
    stored = read_stored(path)
    planes = stored.reshape(*stored.shape[:2], -1)
    marked = (planes[..., :3] > 0).any(axis=-1)
    if planes.shape[-1] == 4:
        marked &= planes[..., 3] > 0
    return np.asarray(marked)
