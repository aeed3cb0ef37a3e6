"""The network under evaluation: pictures become its input, their objects follow, methods explain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from onnx_reciprocam.errors import ImageError, InputError
from onnx_reciprocam.evaluation.masks import read_mask
from onnx_reciprocam.explainers import ScoreSession, explainer, suited
from onnx_reciprocam.metrics import box_masks
from onnx_reciprocam.runtime import read_image
from onnx_reciprocam.runtime.scores import probabilities
from onnx_reciprocam.visualise import shrunk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.sample import Sample
    from onnx_reciprocam.explainers import BlackBoxSession
    from onnx_reciprocam.rewriter.network import Network
    from onnx_reciprocam.runtime import ExplainedSession
    from onnx_reciprocam.runtime.explanation import View
    from onnx_reciprocam.runtime.images import Picture

SIDE = 224
"""Pixels of the longer side of a picture as the report shows it."""
STRETCHED = 256 / 224
"""Sides of the square that pictures are stretched to, over those of the network's input."""


@dataclass(frozen=True)
class Prepared:
    """A picture as the network takes it.

    Args:
        image: ``[C, H, W]`` float32.
        seen: The part of the picture that the network sees, :data:`SIDE` pixels long: the picture may be a hundred times that.
        objects: Where the label's objects are, bool ``[H, W]``; None if unknown, or outside what the network sees.
    """

    image: NDArray[np.float32]
    seen: Picture
    objects: NDArray[np.bool_] | None


class Explained(NamedTuple):
    """Images as one run of a method sees them.

    Args:
        maps: ``[n, h, w]``.
        sure: The explained class's probability, ``[n]``: the run that explains also predicts.
    """

    maps: NDArray[np.float32]
    sure: NDArray[np.float64]


class Subject:
    """A network and the methods that explain it.

    Args:
        network: The plain model.
        methods: Their names.
        protocol: Says what is explained and how.
        options: Of the methods, as :func:`~onnx_reciprocam.explainer` takes them.
        preprocessing: How pictures become the input.
        providers: onnxruntime's execution providers.
        session_options: onnxruntime's ``SessionOptions``.
    """

    def __init__(
        self,
        network: Network,
        methods: Sequence[str],
        protocol: Protocol,
        options: Mapping[str, Any],
        *,
        preprocessing: Preprocessing | None = None,
        providers: Sequence[Any] | None = None,
        session_options: Any = None,
    ) -> None:
        self._protocol = protocol
        running = {"preprocessing": preprocessing, "providers": providers, "session_options": session_options}
        self.score = ScoreSession(network, **running)
        settled, image = self.score.settled, self.score.image
        settled.check_channels(image.name, image.shape[3 if settled.layout == "nhwc" else 1])
        self.sessions = {
            name: explainer(network, name, **_options(name, protocol, options), **running) for name in methods
        }

    def prepare(self, sample: Sample) -> Prepared:
        """Read a picture.

        Raises:
            ImageError: It or its mask cannot be read, its mask marks nothing, or its annotations cannot be used.
        """
        if sample.problem:
            raise ImageError(str(sample.path), sample.problem)
        picture = read_image(sample.path)
        objects = _objects(sample, picture)
        if self._protocol.stretch:
            sides = [round(side * STRETCHED) for side in self.score.settled.size or (224, 224)]
            picture, objects = _stretched(picture, sides), None if objects is None else _stretched(objects, sides)
        batch, view = self.score.prepare(picture)
        image = batch[0].transpose(2, 0, 1) if self.score.settled.layout == "nhwc" else batch[0]
        seen = shrunk(view.seen(picture), SIDE)
        return Prepared(np.ascontiguousarray(image, np.float32), seen, _seen(objects, view, image.shape[1:]))

    def scores(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities ``[n, classes]`` of images ``[n, C, H, W]``."""
        return np.clip(self.score(images), 0, 1)

    def explain(self, method: str, images: NDArray[np.float32], classes: NDArray[np.int64]) -> Explained:
        """Images ``[n, C, H, W]``, of one class ``[n]`` each."""
        session = self.sessions[method]
        fixed = session.image.shape[0]
        last = self.score.settled.layout == "nhwc"
        moved = images.transpose(0, 2, 3, 1) if last else images
        found = []
        for start in range(0, len(images), fixed or len(images)):
            part = moved[start : start + (fixed or len(images))]
            ids = classes[start : start + len(part)]
            missing = (fixed or len(part)) - len(part)
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
            ids = np.concatenate([ids, np.repeat(ids[-1:], missing)])
            maps, sure = _called(session, part, ids)
            found.append((maps[: len(maps) - missing], sure[: len(sure) - missing]))
        maps_of_all, sure_of_all = zip(*found, strict=True)
        return Explained(np.concatenate(maps_of_all), np.concatenate(sure_of_all))


def _called(session: ExplainedSession | BlackBoxSession, images: NDArray[Any], classes: NDArray[np.int64]) -> Explained:
    found = session(images, class_ids=classes[:, None])
    sure = [
        probabilities(scores.reshape(-1), found.activation)[c]
        for scores, c in zip(found.predictions, classes, strict=True)
    ]
    if not np.isfinite(sure).all():
        raise InputError(
            "the picture", "the network's probabilities for it are NaN; look at the preprocessing and the file."
        )
    return Explained(found.saliency[:, 0], np.clip(sure, 0, 1))


def _options(method: str, protocol: Protocol, options: Mapping[str, Any]) -> dict[str, Any]:
    """ReciproCAM's own mask and score are the protocol's unless the user says otherwise."""
    own = {"mask": protocol.mask, "score": protocol.score} if method == "reciprocam" else {}
    merged = {name: value for name, value in (own | dict(options)).items() if value is not None}
    return suited(method, merged) | {"classes": "input"}


def _objects(sample: Sample, picture: Picture) -> NDArray[np.bool_] | None:
    """Bool ``[H, W]`` of the whole picture."""
    height, width = picture.shape[:2]
    if sample.mask is not None:
        mask = read_mask(sample.mask)
        if mask.shape != (height, width):
            sizes = f"{mask.shape[1]}x{mask.shape[0]}, its picture {width}x{height}"
            raise ImageError(str(sample.mask), f"the mask is {sizes}; they have to be of one size")
        if not mask.any():
            raise ImageError(str(sample.mask), "the mask marks nothing; make it above 0 on the object, or remove it")
        return mask
    if not sample.boxes:
        return None
    return np.asarray(box_masks([list(sample.boxes)], height, width)[0])


def _stretched(picture: NDArray[Any], sides: Sequence[int]) -> NDArray[Any]:
    size = (sides[1], sides[0])
    if picture.dtype == np.bool_:
        return np.asarray(cv2.resize(picture.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))


def _seen(objects: NDArray[np.bool_] | None, view: View, size: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """The objects on the network's input: a pixel belongs to one if half of it does."""
    if objects is None:
        return None
    shares = cv2.resize(view.seen(objects).astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_AREA)
    found = np.asarray(shares >= 0.5)
    return found if found.any() else None
