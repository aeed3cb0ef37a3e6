"""What one run of an explained file said, and how to look at it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam import visualise
from onnx_reciprocam.errors import InputError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.scores import probabilities
from onnx_reciprocam.visualise import Region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from onnx_reciprocam.runtime.images import Picture

_FIGURE_ALPHA = 0.7
"""More colour than an overlay by itself has: the picture stands beside it."""


class Prediction(NamedTuple):
    """A class and its probability."""

    class_id: int
    label: str
    score: float


class View(NamedTuple):
    """A picture, ``[H, W, 3]`` uint8 RGB, and the part of it that the network saw."""

    picture: Picture
    region: Region

    def seen(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """That part of the picture, or of anything else ``[H, W, ...]`` of its size."""
        rows, columns = self.region.pixels()
        return pixels[max(rows.start, 0) : rows.stop, max(columns.start, 0) : columns.stop]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Predictions and maps of a batch.

    Args:
        predictions: The explained output, ``[B, classes]``, as the model returns it.
        saliency: ``[B, K, H, W]`` float32; K is 0 where the run was told not to explain.
        classes: The class that each map explains, ``[B, K]`` int64.
        outputs: Every output of the original model by its name.
        labels: Class names in order, possibly none.
        activation: What made the predictions, as :class:`~onnx_reciprocam.contract.Contract` spells it.
        views: What the network saw, one per image, where the session was given pictures and not arrays.
        method: What made the maps, as ``--method`` spells it.
        seconds: What the whole batch took, predictions and maps.
        inferences: How often the network was run per image: 1 where the maps come out of the run that predicts.
        seed: Of what was drawn at random, None where nothing was.
        error: For methods that draw samples, how far the maps may be from those of endless samples: the standard error of
            a pixel over the spread of its map, of the image where it is largest; infinite where a map is nothing but such
            error; None where it is not known.

    In the methods ``index`` is an image of the batch, and ``rank`` one of its maps, counted from the one whose class
    scored best.
    """

    predictions: NDArray[Any]
    saliency: NDArray[np.float32]
    classes: NDArray[np.int64]
    outputs: Mapping[str, NDArray[Any]]
    labels: tuple[str, ...] = ()
    activation: str = "none"
    views: tuple[View, ...] = ()
    method: str = "reciprocam"
    seconds: float = 0.0
    inferences: int = 1
    seed: int | None = None
    error: float | None = None

    def __repr__(self) -> str:
        """Shapes alone: the arrays are too long to read."""
        shapes = (f"{name}={list(getattr(self, name).shape)}" for name in ("predictions", "saliency", "classes"))
        return f"Explanation({self.method}, {', '.join(shapes)})"

    def top(self, k: int = 5, *, index: int = 0) -> list[Prediction]:
        """The ``k`` best classes of an image, best first, with their probabilities.

        Logits become those of a softmax, a single one that of a sigmoid.
        """
        scores = probabilities(self._scores(index), self.activation)
        best = np.argsort(-scores, kind="stable")[:k]
        return [Prediction(int(c), self.label(int(c)), float(scores[c])) for c in best]

    def label(self, class_id: int) -> str:
        """A class by its name, or by its number where it has none."""
        return self.labels[class_id] if class_id < len(self.labels) else f"class {class_id}"

    def overlay(
        self,
        image: Picture | None = None,
        *,
        index: int = 0,
        rank: int = 0,
        alpha: float = 0.5,
        colormap: str = "turbo",
    ) -> Picture:
        """A map over the picture it explains, at the picture's own size; what the network did not see is darkened.

        Args:
            image: ``[H, W, 3]`` uint8 RGB, all of it covered by the map; None for the picture the session was given.
            index: Which image of the batch.
            rank: Which of its maps, 0 for the one whose class scored best.
            alpha: Share of colour at the largest cell, in [0, 1].
            colormap: A name of :data:`onnx_reciprocam.visualise.COLORMAPS`.

        Raises:
            InputError: There is no such map, or no picture.
            ReciprocamError: As :func:`onnx_reciprocam.visualise.overlay`.
        """
        picture, region = self._view(image, index)
        return visualise.overlay(picture, self._map(index, rank), alpha, region, colormap)

    def figure(self, image: Picture | None = None, *, index: int = 0, rank: int = 0) -> Picture:
        """Picture, map and overlay side by side, the five best classes below; arguments as :meth:`overlay`."""
        picture, region = self._view(image, index)
        saliency = self._map(index, rank)
        panels = {
            "picture": picture,
            "saliency": visualise.heatmap(picture, saliency, region),
            "overlay": visualise.overlay(picture, saliency, _FIGURE_ALPHA, region),
        }
        class_id = int(self.classes[index, self.ranked(index)[rank]])
        lines = [f"{p.score:.1%}  {self._title(p.class_id)}" for p in self.top(index=index)]
        return visualise.caption(panels, [f"Why {self._title(class_id)}?", *lines])

    def save(
        self, path: str | os.PathLike[str], image: Picture | None = None, *, index: int = 0, rank: int = 0
    ) -> Path:
        """Write :meth:`figure` as PNG, JPEG or WebP, whole or not at all, replacing what is there.

        Returns:
            ``path``.

        Raises:
            WriteError: The name has another ending, or the file cannot be written.
            ReciprocamError: As :meth:`overlay`.
        """
        if (ending := Path(path).suffix.lower()) not in {".png", ".jpg", ".jpeg", ".webp"}:
            raise WriteError(os.fspath(path), "the name has to end in .png, .jpg or .webp")
        return write_atomically(path, visualise.encode(self.figure(image, index=index, rank=rank), ending))

    def _title(self, class_id: int) -> str:
        """A class by name and number, once each."""
        return f"{self.label(class_id)} ({class_id})" if class_id < len(self.labels) else self.label(class_id)

    def _repr_png_(self) -> bytes | None:
        """The first image's figure, for notebooks; None where there is nothing to draw."""
        return visualise.encode(self.figure(), ".png") if self.views and self.saliency.shape[1] else None

    def _scores(self, index: int) -> NDArray[Any]:
        if not -len(self.predictions) <= index < len(self.predictions):
            raise InputError("index", f"there is no image {index}; the batch has {len(self.predictions)}.")
        return np.asarray(self.predictions[index]).reshape(-1)

    def ranked(self, index: int = 0) -> NDArray[np.intp]:
        """Places of an image's maps along K, best-scored class first."""
        return np.argsort(-self._scores(index)[self.classes[index]].astype(np.float64), kind="stable")

    def _map(self, index: int, rank: int) -> NDArray[np.float32]:
        ranked = self.ranked(index)
        if not ranked.size:
            raise InputError("rank", "this run has no maps: it was told explain=False.")
        if not 0 <= rank < len(ranked):
            raise InputError("rank", f"there is no map {rank}; each image has {len(ranked)}.")
        return np.asarray(self.saliency[index, ranked[rank]], np.float32)

    def _view(self, image: Picture | None, index: int) -> View:
        if image is not None:
            return View(image, Region.whole(image))
        if not self.views:
            raise InputError("image", "the session was given arrays, so hand the picture to draw on: uint8 RGB.")
        return self.views[index]
