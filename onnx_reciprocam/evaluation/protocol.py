"""What is measured, and how pictures and classes are chosen: fixed before the first picture, written beside the results."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any

from onnx_reciprocam.errors import OptionError

METRICS = {
    "drop": "Drop",
    "increase": "Inc",
    "coherency": "Coh",
    "complexity": "Compl",
    "adcc": "ADCC",
    "deletion": "Del",
    "insertion": "Ins",
    "pointing": "Point",
    "energy": "Energy",
}
"""Metrics by name, with the heads of their columns."""
MEANINGS = {
    "drop": "probability lost when the picture is multiplied by its map",
    "increase": "pictures whose probability rises by it instead",
    "coherency": "likeness of the map to the map of what it kept",
    "complexity": "mean of the map, scaled to 0..1",
    "adcc": "harmonic mean of 1 - Drop, Coh and 1 - Compl",
    "deletion": "mean probability while the map's best pixels go first",
    "insertion": "the same while they come first, on a blurred picture",
    "pointing": "maps whose largest value lies on the object",
    "energy": "share of the map that lies on the object",
}
"""What their numbers are, in one line each."""
HIGHER = frozenset({"increase", "coherency", "adcc", "insertion", "pointing", "energy"})
"""Those of which more is better."""
PER_IMAGE = tuple(name for name in METRICS if name != "adcc")
"""Those that one picture has; ADCC is made of a data set's means."""


@dataclass(frozen=True)
class Protocol:
    """How an evaluation is done.

    Args:
        metrics: Which; ADCC comes of drop, coherency and complexity, which are measured for it.
        explained: ``predicted`` explains the class predicted for the picture, ``label`` the one that the data set says it
            shows; the pointing games count pictures where both are one, or under ``label`` all.
        steps: Groups of pixels of deletion and insertion.
        tolerance: Pixels by which a point may miss the object.
        stretch: Whether pictures are first resized to a square, proportions lost, as the authors' script does.
        mask, score: Of ReciproCAM; None for the defaults.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    explained: str = "predicted"
    steps: int = 224
    tolerance: float = 0.0
    stretch: bool = False
    mask: str | None = None
    score: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str):  # would be taken for its letters
            raise OptionError("--metrics", self.metrics, ("a tuple of names",))
        for name in self.metrics or ("",):
            if name not in METRICS:
                raise OptionError("--metrics", name, tuple(METRICS))
        if self.explained not in {"predicted", "label"}:
            raise OptionError("--explain", self.explained, ("predicted", "label"))
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise OptionError("--tolerance", str(self.tolerance), ("pixels from 0",))
        if not isinstance(self.steps, Integral) or self.steps < 1:
            raise OptionError("--steps", str(self.steps), ("whole numbers from 1",))

    def measures(self, *names: str) -> bool:
        """Whether one of these is wanted, for itself or for ADCC."""
        wanted = set(self.metrics)
        wanted |= {"drop", "coherency", "complexity"} if "adcc" in wanted else set()
        return not wanted.isdisjoint(names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"metrics": list(self.metrics)}


PROTOCOLS = {
    "default": Protocol(),
    "paper": Protocol(explained="label", stretch=True, mask="replicated", score="probability"),
}
"""``paper`` is the authors' research script: 256x256 whatever the proportions, centre crop, the picture's label explained,
replicated masks on probabilities (arXiv:2209.14074, section 4)."""
