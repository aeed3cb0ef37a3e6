"""Every metric of a lot of pictures under one method."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from onnx_reciprocam import metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.subject import Explained, Prepared, Subject

Values: TypeAlias = "dict[str, float | None]"
"""A picture's metrics by name; None where one is not defined for it."""


def measure(
    subject: Subject,
    method: str,
    pictures: Sequence[Prepared],
    classes: NDArray[np.int64],
    *,
    pointed: Sequence[bool],
    protocol: Protocol,
) -> tuple[list[Values], NDArray[np.float64]]:
    """The metrics of some pictures.

    Args:
        subject: The network and its methods.
        method: One of them.
        pictures: As the network takes them, all of one size.
        classes: The class that is explained, ``[B]``.
        pointed: Whether the pointing games count for it, ``[B]``.
        protocol: Says which metrics.

    Returns:
        Metrics per picture, ``seconds`` of its explanation among them, and the maps ``[B, H, W]`` in [0, 1].
    """
    images = np.stack([picture.image for picture in pictures])
    start = time.perf_counter()
    first = subject.explain(method, images, classes)
    seconds = (time.perf_counter() - start) / len(images)
    saliency = metrics.scaled(first.maps, *images.shape[2:])
    columns: dict[str, NDArray[np.float64]] = {"complexity": metrics.complexity(saliency)}
    if protocol.measures("drop", "increase", "coherency"):
        columns |= _seen_again(subject, method, images, classes, first, saliency=saliency, protocol=protocol)
    for name, game in (("deletion", metrics.deletion), ("insertion", metrics.insertion)):
        if protocol.measures(name):
            columns[name] = game(subject.scores, images, saliency, classes, steps=protocol.steps)
    rows = [{name: float(values[i]) for name, values in columns.items()} for i in range(len(images))]
    return [
        row | _pointing(one, picture, protocol, counts=counts) | {"seconds": seconds}
        for row, one, picture, counts in zip(rows, saliency, pictures, pointed, strict=True)
    ], saliency


def _seen_again(
    subject: Subject,
    method: str,
    images: NDArray[np.float32],
    classes: NDArray[np.int64],
    first: Explained,
    *,
    saliency: NDArray[np.float64],
    protocol: Protocol,
) -> dict[str, NDArray[np.float64]]:
    """What is measured on E, the images as far as their maps show them."""
    kept = metrics.masked(images, saliency).astype(np.float32)
    columns: dict[str, NDArray[np.float64]] = {}
    if protocol.measures("coherency"):
        again, after = subject.explain(method, kept, classes)
        columns["coherency"] = metrics.coherency(saliency, metrics.scaled(again, *images.shape[2:]))
    else:  # a map of E would be made for nothing
        after = np.asarray(subject.scores(kept)[np.arange(len(kept)), classes], np.float64)
    if protocol.measures("drop", "increase"):
        columns |= {"before": first.sure, "after": after}
        columns |= {"drop": metrics.drop(first.sure, after), "increase": metrics.increase(first.sure, after)}
    return columns


def _pointing(saliency: NDArray[np.float64], picture: Prepared, protocol: Protocol, *, counts: bool) -> Values:
    wanted = [name for name in ("pointing", "energy") if protocol.measures(name)]
    if picture.objects is None or not counts:
        return dict.fromkeys(wanted)
    objects = picture.objects[None]
    games = {
        "pointing": lambda: metrics.pointing_game(saliency[None], objects, protocol.tolerance),
        "energy": lambda: metrics.energy_pointing_game(saliency[None], objects),
    }
    values = {name: float(games[name]()[0]) for name in wanted}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
