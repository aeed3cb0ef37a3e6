"""What a user chooses when a file is rewritten, in the words the command line and the metadata share."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self


class _Choice(str, Enum):
    """An option that takes one of a few words; the option is named after the class."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the command line's spelling.

        Raises:
            OptionError: ``text`` is none of the words.
        """
        words = [choice.value for choice in cls]
        if text not in words:
            option = re.sub("(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()
            raise OptionError(f"--{option}", str(text), words)
        return cls(text)


class Mask(_Choice):
    """What stays of a feature map when one cell is asked for."""

    PIXEL = "pixel"
    """The cell alone (ReciproCAM, arXiv:2209.14074, section 3)."""
    GAUSSIAN = "gaussian"
    """The cell and its eight neighbours, each its own features, weighted 3x3 (ViT-ReciproCAM, arXiv:2310.02588)."""
    REPLICATED = "replicated"
    """The cell's features copied to its neighbours with those weights (the authors' CNN code)."""


class VitMask(_Choice):
    """Where the masks act in a transformer's block."""

    RESIDUAL = "residual"
    """On the tokens that enter the block; behind its first norm, tokens that were zeroed are the norm's bias."""
    POST_NORM = "post-norm"
    """Behind the block's first norm as well, so that they are zero there too (OpenVINO-XAI's ViTReciproCAM)."""


class Score(_Choice):
    """Which number of the network a map explains."""

    LOGIT = "logit"
    """The value before a trailing Softmax or Sigmoid."""
    PROBABILITY = "probability"
    """The value after it; a missing Softmax is added (a Sigmoid for a single output)."""


class Normalize(_Choice):
    """How a map is scaled."""

    NONE = "none"
    """Raw scores."""
    MINMAX = "minmax"
    """To [0, 1], each map by itself; a constant map is all zeros."""


class Upsample(_Choice):
    """The resolution of a map."""

    NONE = "none"
    """One value per cell of the target."""
    INPUT = "input"
    """The pixels of the network's input, bilinear with half-pixel centres."""


_TOP = re.compile(r"top:([1-9][0-9]*)")


@dataclass(frozen=True)
class ClassChoice:
    """Which classes a map is drawn for: ``predicted``, ``all``, ``top:K`` or ``input``.

    ``count`` is the number of maps an image gets, or None where only the file or the caller knows it.
    """

    kind: str
    count: int | None

    @classmethod
    def parse(cls, text: str) -> ClassChoice:
        """Read the command line's spelling.

        Raises:
            OptionError: ``text`` is none of the four.
        """
        if match := _TOP.fullmatch(text):
            return cls("top", int(match[1]))
        if text == "predicted":
            return cls("predicted", 1)
        if text in {"all", "input"}:
            return cls(text, None)
        raise OptionError("--classes", text, ("predicted", "all", "top:K with K at least 1", "input"))

    def __str__(self) -> str:
        return f"top:{self.count}" if self.kind == "top" else self.kind


_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([kmgt]?)(i?)b", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_bytes(text: str) -> int:
    """The bytes of ``512MB`` (512 * 10^6), ``1.5GiB`` (1.5 * 2^30), ...

    Raises:
        OptionError: ``text`` is no such size, or none above 0.
    """
    match = _BYTES.fullmatch(text.strip())
    base = 1024 if match and match[3] else 1000
    size = int(float(match[1]) * base ** _POWERS[match[2].lower()]) if match else 0
    if size < 1:
        raise OptionError("--max-memory", text, ("a size such as 512MB", "2GB", "1.5GiB"))
    return size


@dataclass(frozen=True)
class RewriteOptions:
    """Everything ``rewrite`` can be asked for, with the contract's defaults."""

    target: str | None = None
    method: str = "reciprocam"
    mask: Mask = Mask.PIXEL
    vit_mask: VitMask = VitMask.RESIDUAL
    score: Score = Score.LOGIT
    classes: ClassChoice = ClassChoice("predicted", 1)
    output: str | None = None
    normalize: Normalize = Normalize.MINMAX
    upsample: Upsample = Upsample.NONE
    toggle: bool = False
    max_memory: int | None = None
    """Bytes that the maps may add to a run, for one image where the batch is open; None for no limit."""

    @classmethod
    def parse(cls, **spelled: Any) -> RewriteOptions:
        """The same from the command line's spellings, one keyword per field; what is left out or None has its default.

        Raises:
            OptionError: An option has a value that it does not take.
            TypeError: There is no such option.
        """
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in spelled if name not in names]:
            close = difflib.get_close_matches(unknown[0], [*names, "samples", "seed"], n=1)
            raise TypeError(f"there is no option {unknown[0]!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        words: dict[str, Any] = {
            name: getattr(value, "value", value) for name, value in spelled.items() if value is not None
        }
        return cls(**{name: _PARSERS[name](value) if name in _PARSERS else value for name, value in words.items()})


def _name(option: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise OptionError(option, str(value), ("a name, as `inspect` lists them",))
    return value


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "mask": Mask.parse,
    "vit_mask": VitMask.parse,
    "score": Score.parse,
    "classes": lambda text: ClassChoice.parse(str(text)),
    "normalize": Normalize.parse,
    "upsample": Upsample.parse,
    "target": lambda name: _name("--target", name),
    "output": lambda name: _name("--output", name),
    "max_memory": parse_bytes,
}
