"""A running model whose input is pictures and whose output is class scores."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from onnx_reciprocam.errors import InputError, runtime_reason
from onnx_reciprocam.runtime.explanation import View
from onnx_reciprocam.runtime.images import Picture, read_image
from onnx_reciprocam.runtime.model_input import ModelInput
from onnx_reciprocam.runtime.opening import ORT_ERRORS
from onnx_reciprocam.runtime.preprocess import prepare, settle

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from onnx_reciprocam.contract import Preprocessing

_FATAL = 4
"""Log severity of a run: its failure is raised, so it is not printed as well."""


class ModelSession:
    """One ``onnxruntime.InferenceSession`` with what is known of its image input and its scores.

    Args:
        session: Itself.
        image: Name of the input that takes the images.
        score: Name of the output that scores classes.
        preprocessing: How pictures become the input.
        labels: Class names in order, or none.

    Attributes:
        session: The ``InferenceSession``.
        image: The input that takes the images: name, type and shape.
        class_count: Scores per image, None where only a run tells.
        preprocessing, labels: As given.

    Raises:
        InputError: There are more or fewer labels than classes.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        *,
        image: str,
        score: str,
        preprocessing: Preprocessing,
        labels: Sequence[str],
    ) -> None:
        self.session, self.preprocessing = session, preprocessing
        self._inputs = {node.name: ModelInput.of(node) for node in session.get_inputs()}
        self._optional = {node.name: ModelInput.of(node) for node in session.get_overridable_initializers()}
        self.image = self._inputs[image]
        self.class_count = self._class_count(score)
        self.labels = self._checked_labels(tuple(labels))

    def prepare(self, image: str | os.PathLike[str] | bytes | Picture) -> tuple[NDArray[np.float32], View]:
        """One picture as a batch of one, and what of it the network will see; as :meth:`explain_image` takes it."""
        settled = settle(self.preprocessing, self.image)
        picture = _checked_picture(image) if isinstance(image, np.ndarray) else read_image(image)
        batch, region = prepare(picture, settled)
        return batch, View(picture, region)

    @property
    def other_inputs(self) -> list[str]:
        """Inputs that a caller has to fill by name, beside the picture."""
        return [name for name in self._inputs if name != self.image.name]

    def run(self, feeds: Mapping[str, NDArray[Any]], names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """The outputs of those names, or all."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL
        names = list(names) or [node.name for node in self.session.get_outputs()]
        try:
            return dict(zip(names, self.session.run(names, dict(feeds), options), strict=True))
        except ORT_ERRORS as error:
            raise InputError(
                self.image.name, f"the model does not run on what it was given: {runtime_reason(error)}"
            ) from error

    def _other_feeds(self, others: dict[str, ArrayLike], taken: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        free = {name: each for name, each in (self._inputs | self._optional).items() if name not in taken}
        for name in others:
            if name not in free:
                close = difflib.get_close_matches(name, free, n=3) or sorted(free)
                raise InputError(name, f"the model has no such further input; it has {', '.join(close) or 'none'}.")
        for name in self._inputs:
            if name in free and name not in others:
                raise InputError(name, f"is missing; hand it by name: session(batch, **{{{name!r}: array}}).")
        return {name: free[name].fit(value) for name, value in others.items()}

    def _class_count(self, score: str) -> int | None:
        shapes = {node.name: node.shape for node in self.session.get_outputs()}
        count = shapes[score][1:2]
        return count[0] if count and isinstance(count[0], int) else None

    def _checked_labels(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        if labels and self.class_count not in {None, len(labels)}:
            raise InputError(
                "labels", f"{len(labels)} names for {self.class_count} classes; one name per class, in order."
            )
        return labels


def _checked_picture(image: NDArray[Any]) -> Picture:
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8 or not image.size:
        got = f"{image.dtype} {list(image.shape)}"
        raise InputError(
            "image", f"a decoded picture is uint8 RGB [H, W, 3], got {got}; hand batches to session(batch)."
        )
    return image
