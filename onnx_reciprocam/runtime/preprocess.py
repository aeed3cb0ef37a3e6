"""From a picture to the network's input, and back to the part of the picture that the network saw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from onnx_reciprocam.errors import InputError
from onnx_reciprocam.runtime.images import Picture, check_pixels
from onnx_reciprocam.visualise import Region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.runtime.model_input import ModelInput

DEFAULT_SIDE = 224
"""Height and width where neither the preprocessing nor the model says: ImageNet's."""

_COLOR_CHANNELS = (1, 3)


def settle(preprocessing: Preprocessing, model: ModelInput) -> Preprocessing:
    """``preprocessing`` with ``size`` and ``layout`` taken from the model's input where it leaves them open.

    Raises:
        InputError: The input is no batch of images, or its layout cannot be told from its shape.
        ImageError: It is larger than any picture that is read.
    """
    if len(model.shape) != 4:
        raise InputError(model.name, f"has {len(model.shape)} axes, so it takes no pictures; hand the session arrays.")
    layout = preprocessing.layout or _layout(model)
    declared = model.shape[2:] if layout == "nchw" else model.shape[1:3]
    height, width = (side or DEFAULT_SIDE for side in declared)
    size = preprocessing.size or (height, width)
    check_pixels(f"input {model.name!r}", *size)
    return replace(preprocessing, layout=layout, size=size)


def prepare(picture: Picture, settled: Preprocessing) -> tuple[NDArray[np.float32], Region]:
    """One picture as a batch of one.

    Shrinking averages areas, which keeps detail from aliasing as PIL's filters do; growing is bilinear.

    Args:
        picture: ``[H, W, 3]`` uint8 RGB.
        settled: With ``size`` and ``layout``, as :func:`settle` returns it.

    Returns:
        ``[1, C, h, w]`` or ``[1, h, w, C]`` as ``settled.layout`` says, and the part of ``picture`` it shows.

    Raises:
        ImageError: So thin a picture that resizing its shorter side makes the longer one enormous.
    """
    fitted, region = _fit(picture, settled)
    pixels = _color(fitted, settled.color).astype(np.float32)
    mean, std = np.array(settled.mean, np.float32), np.array(settled.std, np.float32)
    pixels *= np.float32(settled.scale)
    pixels -= mean
    pixels /= std
    return (pixels.transpose(2, 0, 1) if settled.layout == "nchw" else pixels)[None], region


def _layout(model: ModelInput) -> str:
    first, last = model.shape[1] in _COLOR_CHANNELS, model.shape[3] in _COLOR_CHANNELS
    if first == last:
        shape = "x".join("?" if side is None else str(side) for side in model.shape)
        raise InputError(model.name, f"{shape} does not tell where its channels are; say layout nchw or nhwc.")
    return "nchw" if first else "nhwc"


def _fit(picture: Picture, settled: Preprocessing) -> tuple[Picture, Region]:
    """Stretch to ``size``; or resize so that ``size / crop`` is covered, and cut out the centre.

    Rounds as torchvision's Resize and CenterCrop do.
    """
    height, width = settled.size or (DEFAULT_SIDE, DEFAULT_SIDE)
    if settled.crop is None:
        return _resize(picture, height, width), Region.whole(picture)
    # Where crop was written with a few digits, 227 / 0.886719 falls a hair short of 256, the whole number that is meant;
    # so may a product such as 3 * (256 / 3).
    scale = max(
        int(side / settled.crop + 1e-3) / own for side, own in zip((height, width), picture.shape, strict=False)
    )
    tall, wide = (int(side * scale + 1e-6) for side in picture.shape[:2])
    check_pixels("the picture, resized,", tall, wide)
    top, left = round((tall - height) / 2), round((wide - width) / 2)
    cut = _resize(picture, tall, wide)[top : top + height, left : left + width]
    down, across = picture.shape[0] / tall, picture.shape[1] / wide
    return cut, Region(top * down, left * across, height * down, width * across)


def _resize(picture: Picture, height: int, width: int) -> Picture:
    """Shrink whichever side is too long, then enlarge whichever is too short; OpenCV's sizes are (width, height)."""
    shrunk = (min(width, picture.shape[1]), min(height, picture.shape[0]))
    small = cv2.resize(picture, shrunk, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _color(picture: Picture, color: str) -> Picture:
    """``[H, W, C]`` in the network's order."""
    if color == "gray":
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)[..., None]
    return picture[..., ::-1] if color == "bgr" else picture
