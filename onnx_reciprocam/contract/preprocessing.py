"""How a picture becomes the network's input, written into the file so that its reader need not guess."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from onnx_reciprocam.errors import InputError, OptionError


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded picture (uint8 RGB, any size) to one image of the network's input.

    The picture's shorter side is resized to ``size / crop`` and the centre ``size`` is cut out (``crop=None`` stretches
    the whole picture instead); then ``x = (pixel * scale - mean) / std`` per channel.

    Args:
        size: Height and width of the network input, or None to take what the model declares.
        crop: Share of the resized picture that the centre crop keeps, in (0, 1], as timm's ``crop_pct``; None stretches.
        mean: Subtracted after scaling; one number per channel in the order of ``color``, or one for all.
        std: Divided by, likewise.
        scale: Multiplies the pixel (0 to 255) first.
        color: ``rgb``, ``bgr`` or ``gray``, the order of the network's channels.
        layout: ``nchw``, ``nhwc``, or None to take what the model declares.
    """

    size: tuple[int, int] | None = None
    crop: float | None = 0.875
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    scale: float = 1 / 255
    color: str = "rgb"
    layout: str | None = None

    def __post_init__(self) -> None:
        channels = 1 if self.color == "gray" else 3
        if self.color not in {"rgb", "bgr", "gray"}:
            raise OptionError("--color", self.color, ("rgb", "bgr", "gray"))
        if self.layout not in {None, "nchw", "nhwc"}:
            raise OptionError("--layout", str(self.layout), ("nchw", "nhwc"))
        if self.crop is not None and not 0 < self.crop <= 1:
            raise OptionError("--crop", str(self.crop), ("a share in (0, 1]", "stretch"))
        if self.size is not None and min(self.size) < 1:
            raise OptionError("--size", str(self.size), ("pixels, at least 1",))
        for name, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in {1, channels}:
                raise OptionError(name, str(values), (f"one number, or {channels} for {self.color}",))
        if 0 in self.std:
            raise OptionError("--std", str(self.std), ("numbers other than 0",))

    def check_channels(self, name: str, channels: int | None) -> None:
        """Refuse an input that declares other channels than prepared pictures have.

        Args:
            name: The input's.
            channels: How many it takes; None if that is open.

        Raises:
            InputError: It takes others.
        """
        given = 1 if self.color == "gray" else 3
        if channels not in {None, given}:
            remedy = {1: "say --color gray", 3: "say --color rgb or bgr"}.get(channels or 0, "no picture has them")
            raise InputError(name, f"channels: {channels}, of {self.color} pictures {given}; {remedy}.")

    def to_json(self) -> str:
        """One line of JSON, every field by its name."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Read what :meth:`to_json` wrote; unknown fields of later versions are ignored."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(text).items() if key in known
        }
        return cls(**values)
