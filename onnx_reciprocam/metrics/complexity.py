"""Complexity: how much of the image does the map show?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.metrics.arrays import Float64, unit_maps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def complexity(saliency: ArrayLike) -> Float64:
    """The mean of S over all pixels: ``sum(S) / (H * W)``.

    The data set's figure is the mean, lower is better. A flat map, scaled, shows nothing: 0.

    Args:
        saliency: S on the images' own pixels, ``[B, H, W]`` in [0, 1].

    Returns:
        ``[B]`` in [0, 1].

    Raises:
        ShapeMismatchError: It is not ``[B, H, W]``.
        InputError: A cell is NaN or outside [0, 1].

    Source:
        Poppi et al., arXiv:2104.10252, section 3 (minimum complexity).
    """
    return np.asarray(unit_maps("saliency", saliency).mean((1, 2)))
