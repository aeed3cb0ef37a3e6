"""What a map says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 3
"""Maps of a picture that the report shows, those of the best-scored classes."""


class MapFacts(NamedTuple):
    """A map of a row: its place along K, its class, its entropy, and whether it is flat."""

    place: int
    class_id: int
    entropy: float | None
    flat: bool


def entropy(saliency: NDArray[np.floating]) -> float | None:
    """How spread out a map is: 0 where one cell has all of it, 1 where it is the same everywhere.

    The map ``m`` of N cells is raised to begin at 0 and read as a distribution: ``p = (m - min m) / sum(m - min m)``,
    and the answer is Shannon's entropy over its largest, ``-sum(p log p) / log N``. So neither a map's scale nor its
    zero counts. A flat map is the uniform distribution.

    Args:
        saliency: ``[h, w]``, any range.

    Returns:
        A number in [0, 1]; None where a cell is NaN or infinite.
    """
    if not np.isfinite(saliency).all():
        return None
    raised = saliency.astype(np.float64) - float(saliency.min())
    total = raised.sum()
    if total == 0 or saliency.size == 1:
        return 1.0
    p = raised[raised > 0] / total
    return float(np.clip(-(p * np.log(p)).sum() / np.log(saliency.size), 0, 1))


def facts(told: dict[str, Any], maps: NDArray[np.float32]) -> list[MapFacts]:
    """Of a row's maps, the best-scored class first, at most :data:`SHOWN`."""
    ranks = {class_id: rank for rank, class_id in enumerate(told["top_classes"] or ())}
    places = sorted(range(len(maps)), key=lambda place: (ranks.get(told["classes"][place], len(ranks)), place))
    level = flat(maps)
    return [
        MapFacts(place, int(told["classes"][place]), entropy(maps[place]), bool(level[place]))
        for place in places[:SHOWN]
    ]


def flat(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Of maps ``[K, h, w]``, which have the same everywhere, so that they point nowhere."""
    return np.asarray(maps.max(axis=(1, 2)) == maps.min(axis=(1, 2)))
