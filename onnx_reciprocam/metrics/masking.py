"""E, the image as far as its map shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.metrics.arrays import Images, maps_on, unit_maps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def masked(images: Images, saliency: ArrayLike) -> Images:
    """``E = x * S``: what the map leaves out fades to zero, the mean colour of a normalised input.

    Args:
        images: Normalised network inputs, ``[B, C, H, W]``.
        saliency: S on the images' own pixels, ``[B, H, W]`` in [0, 1].

    Returns:
        ``[B, C, H, W]``, dtype of ``images``.

    Raises:
        ShapeMismatchError: ``saliency`` and ``images`` differ in ``B``, ``H`` or ``W``.
        InputError: NaN somewhere, images that are no floats, or a map outside [0, 1].

    Source:
        Poppi et al., arXiv:2104.10252, section 3 (the explanation map).
    """
    maps = unit_maps("saliency", maps_on(images, saliency))
    return np.asarray(images * maps[:, None].astype(images.dtype))
