"""One picture of a data set, and what is known of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A picture to explain.

    Args:
        path: The picture's file.
        label: The class that it shows, as the network counts them; None where nobody says.
        boxes: Where that class's objects are, ``(left, top, right, bottom)`` in the picture's pixels; none if unknown.
        mask: A PNG of the picture's size, above 0 on the objects; None if there is none.
        problem: Why it cannot be used, if its annotations already say so; it is reported, and left out.
    """

    path: Path
    label: int | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    mask: Path | None = None
    problem: str = ""

    @cached_property
    def key(self) -> str:
        """What tells a sample from all others, however the source was named."""
        picture, mask = (path and os.path.normpath(path.absolute()) for path in (self.path, self.mask))
        words = (str(picture), str(self.label), str(mask), str(self.boxes))
        return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def spelled(self) -> str:
        """Its path as text for any file: Linux allows names that are no Unicode."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")
