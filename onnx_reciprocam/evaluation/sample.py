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
        mask = self.mask and os.path.abspath(self.mask)  # noqa: PTH100 - without ".." though files may be gone
        words = (os.path.abspath(self.path), str(self.label), str(mask), str(self.boxes))  # noqa: PTH100 - likewise
        return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:16]
