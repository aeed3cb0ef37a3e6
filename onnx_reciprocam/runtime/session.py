"""An explained file, ready to run."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from onnx_reciprocam.contract import CLASS_IDS_INPUT, SALIENCY, SALIENCY_CLASSES, TOGGLE_INPUT, Contract, Preprocessing
from onnx_reciprocam.errors import InputError, runtime_reason
from onnx_reciprocam.runtime.explanation import Explanation, View
from onnx_reciprocam.runtime.images import Picture, read_image
from onnx_reciprocam.runtime.model_input import ModelInput
from onnx_reciprocam.runtime.opening import ORT_ERRORS, Source, open_session, source_name
from onnx_reciprocam.runtime.preprocess import prepare, settle

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_FATAL = 4
"""Log severity of a run: its failure is raised, so it is not printed as well."""


class ExplainedSession:
    """A thin owner of one ``onnxruntime.InferenceSession``; any number of threads may share it.

    >>> session = ExplainedSession("resnet50.explained.onnx")  # doctest: +SKIP
    >>> result = session(batch)  # doctest: +SKIP
    >>> result.predictions, result.saliency, result.classes  # doctest: +SKIP

    Args:
        model: A rewritten file: its path, its bytes, or a session that runs it.
        providers: onnxruntime's execution providers; None for the CPU.
        session_options: onnxruntime's ``SessionOptions``.
        preprocessing: How pictures become the input; None for what the file says, ImageNet's where it says nothing.
        labels: Class names in order; None for what the file says.

    Attributes:
        contract: What the file says of itself.
        session: The ``InferenceSession``.
        image: The input that takes the images: name, type and shape.
        class_count: Scores per image, None where only a run tells.
        preprocessing, labels: As settled from the arguments and the file.

    Raises:
        ModelFileError: There is no such file, or onnxruntime cannot load it.
        NotRewrittenError: It is a plain model.
        MetadataError: Its metadata is damaged or of a newer format.
        InputError: There are more or fewer labels than classes.
    """

    def __init__(
        self,
        model: Source,
        *,
        providers: Sequence[Any] | None = None,
        session_options: onnxruntime.SessionOptions | None = None,
        preprocessing: Preprocessing | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.session = open_session(model, providers, session_options)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.contract = Contract.from_metadata(metadata, source_name(model))
        self._inputs = {node.name: ModelInput.of(node) for node in self.session.get_inputs()}
        self._optional = {node.name: ModelInput.of(node) for node in self.session.get_overridable_initializers()}
        self.image = self._inputs[self.contract.inputs["image"]]
        self.preprocessing = preprocessing or self.contract.preprocessing or Preprocessing()
        self.class_count = self._class_count()
        self.labels = self._checked_labels(self.contract.labels if labels is None else tuple(labels))

    def __call__(
        self,
        batch: ArrayLike,
        /,
        *,
        class_ids: ArrayLike | None = None,
        explain: bool = True,
        **other_inputs: ArrayLike,
    ) -> Explanation:
        """Predict and explain in one ``session.run``.

        Args:
            batch: ``[B, C, H, W]`` or what the model takes, preprocessed; cast to the model's own dtype.
            class_ids: ``[B, K]`` int64, for files rewritten with ``--classes input``.
            explain: False for predictions alone (K = 0), for files rewritten with ``--toggle``.
            other_inputs: Further inputs of the model, by name.

        Raises:
            InputError: An input is missing, unknown, or does not fit the model.
        """
        images = self.image.fit(batch)
        feeds = {self.image.name: images}
        feeds |= self._class_ids_feed(class_ids, len(images))
        feeds |= self._toggle_feed(explain)
        feeds |= self._other_feeds(other_inputs, taken=feeds)
        return self._explanation(self._run(feeds))

    def explain_image(
        self,
        image: str | os.PathLike[str] | bytes | Picture,
        *,
        class_ids: Sequence[int] | None = None,
        explain: bool = True,
        **other_inputs: ArrayLike,
    ) -> Explanation:
        """Explain one picture: a JPEG, PNG or WebP file, its bytes, or a decoded ``[H, W, 3]`` uint8 RGB array.

        Args:
            image: The picture, any size; :attr:`preprocessing` makes it fit.
            class_ids: The classes to explain, for files rewritten with ``--classes input``.
            explain: False for predictions alone, for files rewritten with ``--toggle``.
            other_inputs: Further inputs of the model, by name.

        Returns:
            A batch of one that knows its picture, so that it can draw itself.

        Raises:
            ImageError: The file is no usable picture.
            InputError: The picture or another input does not fit the model.
        """
        batch, view = self.prepare(image)
        ids = None if class_ids is None else [list(class_ids)]
        result = self(batch, class_ids=ids, explain=explain, **other_inputs)
        return replace(result, views=(view,))

    def prepare(self, image: str | os.PathLike[str] | bytes | Picture) -> tuple[NDArray[np.float32], View]:
        """One picture as a batch of one, and what of it the network will see; as :meth:`explain_image` takes it."""
        settled = settle(self.preprocessing, self.image)
        picture = _checked_picture(image) if isinstance(image, np.ndarray) else read_image(image)
        batch, region = prepare(picture, settled)
        return batch, View(picture, region)

    def _run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        options = onnxruntime.RunOptions()
        options.log_severity_level = _FATAL
        names = [node.name for node in self.session.get_outputs()]
        try:
            return dict(zip(names, self.session.run(names, feeds, options), strict=True))
        except ORT_ERRORS as error:
            raise InputError(
                self.image.name, f"the model does not run on what it was given: {runtime_reason(error)}"
            ) from error

    def _explanation(self, outputs: dict[str, NDArray[Any]]) -> Explanation:
        saliency = outputs.pop(self.contract.outputs[SALIENCY])
        if SALIENCY_CLASSES in self.contract.outputs:
            classes = outputs.pop(self.contract.outputs[SALIENCY_CLASSES])
        else:  # every class in order
            classes = np.broadcast_to(np.arange(saliency.shape[1], dtype=np.int64), saliency.shape[:2])
        predictions = outputs[self.contract.outputs["score"]]
        return Explanation(predictions, saliency, classes, outputs, self.labels, self.contract.activation)

    def _class_ids_feed(self, class_ids: ArrayLike | None, batch: int) -> dict[str, NDArray[Any]]:
        name = self.contract.inputs.get(CLASS_IDS_INPUT)
        if name is None:
            if class_ids is None:
                return {}
            how = f"this file explains classes {self.contract.classes!r}"
            raise InputError("class_ids", f"{how}; rewrite the original with --classes input to choose them per call.")
        if class_ids is None:
            raise InputError("class_ids", "this file explains the classes it is told: hand class_ids, int64 [B, K].")
        ids = self._inputs[name].fit(class_ids)
        if len(ids) != batch:
            raise InputError("class_ids", f"has {len(ids)} rows for {batch} images; one row of classes per image.")
        if ids.min() < 0 or (self.class_count is not None and ids.max() >= self.class_count):
            known = "the number of classes" if self.class_count is None else self.class_count
            raise InputError("class_ids", f"has {ids.min()} to {ids.max()}; classes count from 0 to below {known}.")
        return {name: ids}

    def _toggle_feed(self, explain: bool) -> dict[str, NDArray[Any]]:
        name = self.contract.inputs.get(TOGGLE_INPUT)
        if name is not None:
            return {name: np.full(self._toggle_shape(name), explain)}
        if not explain:
            raise InputError(
                "explain", "this file always explains; rewrite the original with --toggle to switch it off."
            )
        return {}

    def _toggle_shape(self, name: str) -> tuple[int, ...]:
        return tuple(side or 1 for side in (self._optional | self._inputs)[name].shape)

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

    def _class_count(self) -> int | None:
        shapes = {node.name: node.shape for node in self.session.get_outputs()}
        count = shapes[self.contract.outputs["score"]][1:2]
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
