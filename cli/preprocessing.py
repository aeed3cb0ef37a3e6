"""How pictures become the input, read off the command line's words."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import OptionError

_SIZE = re.compile(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?")


def read_preprocessing(
    base: Preprocessing | None,
    *,
    size: str | None,
    crop: str | None,
    mean: str | None,
    std: str | None,
    scale: str | None,
    color: str | None,
    layout: str | None,
) -> Preprocessing | None:
    """``base`` with what the command line says otherwise.

    Args:
        base: What the file says, if anything; the options that are left out then mean ImageNet's.
        size: ``224`` or ``192x256``, height first.
        crop: A share, or ``stretch``.
        mean: Numbers with commas between.
        std: Likewise.
        scale: A number or a fraction such as ``1/255``.
        color: ``rgb``, ``bgr`` or ``gray``.
        layout: ``nchw`` or ``nhwc``.

    Returns:
        None where there is neither ``base`` nor any option.

    Raises:
        OptionError: An option has a value it does not take.
    """
    said: dict[str, Any] = {}
    if size is not None:
        said["size"] = read_size(size)
    if crop is not None:
        said["crop"] = None if crop == "stretch" else _number("--crop", crop)
    if mean is not None:
        said["mean"] = _numbers("--mean", mean)
    if std is not None:
        said["std"] = _numbers("--std", std)
    if scale is not None:
        said["scale"] = _number("--scale", scale)
    if color is not None:
        said["color"] = color
    if layout is not None:
        said["layout"] = layout
    return replace(base or Preprocessing(), **said) if said else base


def read_labels(path: Path | None) -> tuple[str, ...]:
    """The lines of a text file, without those that are empty at its end; none without a file.

    Raises:
        OptionError: The file cannot be read, or holds no name.
    """
    if path is None:
        return ()
    try:
        labels = tuple(line.strip() for line in path.read_text("utf-8-sig").rstrip().splitlines())
    except (OSError, ValueError):
        labels = ()
    if not labels:
        raise OptionError("--labels", str(path), ("a text file in UTF-8 with one class name per line",))
    return labels


def read_size(text: str | None) -> tuple[int, int] | None:
    """``224`` or ``192x256``, height first.

    Raises:
        OptionError: It is spelled otherwise, or a side is 0.
    """
    if text is None:
        return None
    if not (match := _SIZE.fullmatch(text)):
        raise OptionError("--size", text, ("one number of pixels above 0", "height x width such as 192x256"))
    return int(match[1]), int(match[2] or match[1])


def _numbers(option: str, text: str) -> tuple[float, ...]:
    return tuple(_number(option, part) for part in text.split(","))


def _number(option: str, text: str) -> float:
    """A number, or a fraction."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise OptionError(option, text, ("numbers such as 0.5", "fractions such as 1/255"))
    return value
