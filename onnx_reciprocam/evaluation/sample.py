"""One picture of a data set, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    path: Path
    label: int | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    mask: Path | None = None
