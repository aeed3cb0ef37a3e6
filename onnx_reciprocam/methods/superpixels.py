"""Superpixels: what people see as one piece, hidden or shown as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import MissingPackageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Images, Problem

COUNT, COMPACTNESS = 50, 20.0
"""About how many, and how much place counts beside colour: with SLIC's usual 10, plain surfaces grow to half as many."""


def superpixels(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """SLIC's: compact pieces of like colour, about :data:`COUNT` whatever the picture, and the same ones every time.

    Quickshift, the default of LIME's authors, draws at random, and its number of pieces follows the texture, so that the
    same samples would be plenty for one picture and too few for another.

    Args:
        picture: ``[H, W, 3]`` RGB.

    Returns:
        ``[H, W]``: the number of the piece that a pixel belongs to, from 0, none left out.

    Raises:
        MissingPackageError: scikit-image is not installed.

    Source:
        Achanta et al., PAMI 2012, doi:10.1109/TPAMI.2012.120.
    """
    try:
        from skimage.segmentation import slic
    except ModuleNotFoundError:
        raise MissingPackageError("scikit-image", "blackbox") from None
    labels = slic(picture, n_segments=COUNT, compactness=COMPACTNESS, sigma=1, start_label=0, channel_axis=-1)
    _, numbers = np.unique(labels, return_inverse=True)
    return np.asarray(numbers.reshape(labels.shape), np.int64)


def showing(problem: Problem, labels: NDArray[np.int64], shown: NDArray[np.bool_]) -> Images:
    """The image with some superpixels, the baseline elsewhere: ``[n, superpixels]`` -> ``[n, C, H, W]``."""
    seen = shown[:, labels][:, None]  # [n, 1, H, W]
    return np.where(seen, problem.image, problem.baseline[:, None, None])


def painted(weights: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Every pixel takes its superpixel's weight: ``[K, superpixels]`` -> ``[K, H, W]``."""
    return weights[:, labels].astype(np.float32)
