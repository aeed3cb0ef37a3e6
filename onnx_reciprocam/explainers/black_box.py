"""A black-box method around a plain model, called as an explained file is."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from onnx_reciprocam.contract import ClassChoice, Normalize, Preprocessing, RewriteOptions, Score
from onnx_reciprocam.errors import InputError, OptionError
from onnx_reciprocam.explainers.asked import Asked, opened
from onnx_reciprocam.explainers.questions import asking_gradients, asking_scores
from onnx_reciprocam.methods.black_box import Problem
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.runtime import Explanation
from onnx_reciprocam.runtime.model_session import ModelSession
from onnx_reciprocam.runtime.preprocess import settle
from onnx_reciprocam.visualise import rescale

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from onnx_reciprocam.methods.black_box import BlackBox, Maps, ProgressFn
    from onnx_reciprocam.rewriter.network import Network, Target
    from onnx_reciprocam.runtime.images import Picture


class BlackBoxSession(ModelSession):
    """Maps by many runs of the plain model; made by :func:`~onnx_reciprocam.explainers.explainer`.

    Args:
        network: The plain model.
        method: With its settings.
        target: For methods that need one.
        score: What it reads of the network; None for its own choice.
        classes: The classes that are explained.
        normalize: How maps are scaled.
        seed: Of whatever is drawn at random.
        preprocessing: How pictures become the input; None for ImageNet's.
        labels: Class names in order.
        providers: onnxruntime's execution providers; None for the CPU.
        session_options: onnxruntime's ``SessionOptions``.
        progress: Told how many inferences of an image are done.

    Raises:
        GradientError: The method needs gradients that cannot be taken.
        InputError: The model takes no pictures.
    """

    def __init__(
        self,
        network: Network,
        method: BlackBox,
        *,
        target: Target | None = None,
        score: Score | None = None,
        classes: ClassChoice = RewriteOptions.classes,
        normalize: Normalize = Normalize.MINMAX,
        seed: int = 0,
        preprocessing: Preprocessing | None = None,
        labels: Sequence[str] = (),
        providers: Sequence[Any] | None = None,
        session_options: Any = None,
        progress: ProgressFn = lambda _done, _total: None,
    ) -> None:
        self.network, self.method, self.class_choice, self.seed = network, method, classes, seed
        self.progress = progress
        self._normalize, self._score = normalize, score or method.score
        if classes.count is not None and classes.count > network.scores.classes:
            most = f"at most top:{network.scores.classes}, the number of classes"
            raise OptionError("--classes", str(classes), (most,))
        self._questions = asking_scores(network, self._score, target)
        super().__init__(
            opened(self._questions, network, providers, session_options),
            image=network.image.name,
            score=network.scores.output.name,
            preprocessing=preprocessing or Preprocessing(),
            labels=labels,
        )
        if len(self.image.shape) != 4:
            raise InputError(
                self.image.name, f"has {len(self.image.shape)} axes; {method.name} changes pixels of images."
            )
        self._gradients: ModelSession | None = None
        if Needs.GRADIENTS in method.needs:
            asked = asking_gradients(network, self._score)
            self._gradient_names = (asked.weights, asked.outputs[0])
            self._gradients = ModelSession(
                opened(asked, network, providers, session_options),
                image=network.image.name,
                score=network.scores.output.name,
                preprocessing=self.preprocessing,
                labels=(),
            )

    def __call__(
        self, batch: ArrayLike, /, *, class_ids: ArrayLike | None = None, **other_inputs: ArrayLike
    ) -> Explanation:
        """Predict, and explain image after image.

        Args:
            batch: ``[B, C, H, W]`` or what the model takes, preprocessed.
            class_ids: The classes of each image, int64 ``[B, K]``, where classes are ``input``.
            other_inputs: Further inputs of the model, by name.

        Raises:
            InputError: An input is missing, unknown, or does not fit the model.
            ReciprocamError: The method cannot explain it.
        """
        return self._explained(self.image.fit(batch), class_ids, other_inputs, None)

    def explain_image(
        self,
        image: str | os.PathLike[str] | bytes | Picture,
        *,
        class_ids: Sequence[int] | None = None,
        **other_inputs: ArrayLike,
    ) -> Explanation:
        """Explain one picture; as :meth:`onnx_reciprocam.ExplainedSession.explain_image`."""
        batch, view = self.prepare(image)
        ids = None if class_ids is None else [list(class_ids)]
        result = self._explained(
            self.image.fit(batch), ids, other_inputs, np.ascontiguousarray(view.seen(view.picture))
        )
        return replace(result, views=(view,))

    def _explained(
        self,
        images: NDArray[Any],
        class_ids: ArrayLike | None,
        other_inputs: dict[str, ArrayLike],
        picture: Picture | None,
    ) -> Explanation:
        start = time.perf_counter()
        others = self._other_feeds(other_inputs, taken={self.image.name: images})
        outputs = self.run({self.image.name: images, **others})
        for name in self._questions.outputs:
            outputs.pop(name)
        predictions = outputs[self.network.scores.output.name]
        classes = self._wanted(predictions.reshape(len(images), -1), class_ids)
        found, inferences = [], 0
        for index, image in enumerate(images):
            mine = {
                name: value[index : index + 1] if len(value) == len(images) else value for name, value in others.items()
            }
            maps, asked = self._one(image, classes[index], mine, picture)
            found.append(maps)
            inferences = max(inferences, asked)
        values = np.stack([maps.values for maps in found]).astype(np.float32)
        if self._normalize is Normalize.MINMAX:
            values = np.stack([np.stack([rescale(one) for one in maps]) for maps in values])
        errors = [maps.error for maps in found if maps.error is not None]
        return Explanation(
            predictions,
            values,
            classes,
            outputs,
            self.labels,
            self.network.scores.activation,
            method=self.method.name,
            seconds=time.perf_counter() - start,
            inferences=1 + inferences,
            seed=self.seed if self.method.drawn else None,
            error=max(errors, default=None),
        )

    def _one(
        self, image: NDArray[Any], classes: NDArray[np.int64], others: dict[str, NDArray[Any]], picture: Picture | None
    ) -> tuple[Maps, int]:
        """The maps of one image, and what they took."""
        last = settle(self.preprocessing, self.image).layout == "nhwc"
        first = (image.transpose(2, 0, 1) if last else image).astype(np.float32)
        scores, *features = self._questions.outputs
        ask = partial(Asked, network=self.network, channels_last=last, others=others)
        asked, differentiated = ask(self.run), ask((self._gradients or self).run)
        problem = Problem(
            image=first,
            picture=_shown(first) if picture is None else _resized(picture, first.shape[1:]),
            classes=classes,
            score=partial(asked.scores, name=scores),
            features=partial(asked.features, names=features) if features else None,
            gradient=partial(differentiated.gradient, names=self._gradient_names) if self._gradients else None,
            baseline=np.zeros(len(first), np.float32),
            seed=self.seed,
            progress=self.progress,
        )
        return self.method.explain(problem), asked.inferences + differentiated.inferences

    def _wanted(self, scores: NDArray[Any], class_ids: ArrayLike | None) -> NDArray[np.int64]:
        """``[B, K]``."""
        if self.class_choice.kind == "input":
            if class_ids is None:
                raise InputError("class_ids", "the classes to explain are needed: int64 [B, K].")
            ids = np.asarray(class_ids, np.int64)
            if (
                ids.ndim != 2
                or len(ids) != len(scores)
                or not ids.size
                or ids.min() < 0
                or ids.max() >= scores.shape[1]
            ):
                raise InputError("class_ids", f"wants one row of classes below {scores.shape[1]} per image.")
            return ids
        if class_ids is not None:
            raise InputError(
                "class_ids", f"classes are {str(self.class_choice)!r}; choose input to name them per call."
            )
        if self.class_choice.kind == "all":
            return np.tile(np.arange(scores.shape[1], dtype=np.int64), (len(scores), 1))
        best = np.argsort(-scores.astype(np.float64), axis=1, kind="stable")
        return np.asarray(best[:, : self.class_choice.count], np.int64)


def _shown(image: NDArray[np.float32]) -> Picture:
    """The input as a picture, each channel scaled to its own range: ``[H, W, 3]``."""
    channels = [np.rint(rescale(channel) * 255).astype(np.uint8) for channel in image[:3]]
    return np.stack(channels if len(channels) == 3 else channels[:1] * 3, axis=-1)


def _resized(picture: Picture, size: tuple[int, ...]) -> Picture:
    return np.asarray(cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)
