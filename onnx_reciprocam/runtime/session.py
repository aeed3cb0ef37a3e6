"""An explained file, ready to run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.contract import (
    CLASS_IDS_INPUT,
    SALIENCY,
    SALIENCY_CLASSES,
    TOGGLE_INPUT,
    ClassChoice,
    Contract,
    Preprocessing,
)
from onnx_reciprocam.errors import InputError, MetadataError
from onnx_reciprocam.runtime.explanation import Explanation
from onnx_reciprocam.runtime.model_session import ModelSession
from onnx_reciprocam.runtime.opening import Source, open_session, source_name

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import onnxruntime
    from numpy.typing import ArrayLike, NDArray

    from onnx_reciprocam.runtime.images import Picture


class ExplainedSession(ModelSession):
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
        session = open_session(model, providers, session_options)
        self.contract = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, source_name(model))
        self._check_names(session, source_name(model))
        super().__init__(
            session,
            image=self.contract.inputs["image"],
            score=self.contract.outputs["score"],
            preprocessing=preprocessing or self.contract.preprocessing or Preprocessing(),
            labels=self.contract.labels if labels is None else labels,
        )

    def _check_names(self, session: onnxruntime.InferenceSession, source: str) -> None:
        """See that the tensors that the metadata names are there."""
        there = {node.name for node in (*session.get_inputs(), *session.get_overridable_initializers())}
        for names, found in (
            (self.contract.inputs, there),
            (self.contract.outputs, {node.name for node in session.get_outputs()}),
        ):
            if missing := sorted(set(names.values()) - found):
                raise MetadataError(source, f"it names {missing[0]!r}, which the file has not")

    @property
    def class_choice(self) -> ClassChoice:
        """Which classes of an image get a map."""
        return ClassChoice.parse(self.contract.classes)

    @property
    def other_inputs(self) -> list[str]:
        """Inputs that a caller has to fill by name, beside the picture and what the rewrite added."""
        return [name for name in self._inputs if name not in self.contract.inputs.values()]

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
        start = time.perf_counter()
        outputs = self.run(feeds)
        return self._explanation(outputs, time.perf_counter() - start)

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
        count = self.image.shape[0] or 1
        if count > 1:  # a fixed batch is filled up with the picture itself
            batch = np.repeat(batch, count, axis=0)
        ids = None if class_ids is None else [list(class_ids)] * count
        result = self(batch, class_ids=ids, explain=explain, **other_inputs)
        return replace(result if count == 1 else _first(result, count), views=(view,))

    def _explanation(self, outputs: dict[str, NDArray[Any]], seconds: float) -> Explanation:
        saliency = outputs.pop(self.contract.outputs[SALIENCY])
        if SALIENCY_CLASSES in self.contract.outputs:
            classes = outputs.pop(self.contract.outputs[SALIENCY_CLASSES])
        else:  # every class in order
            classes = np.broadcast_to(np.arange(saliency.shape[1], dtype=np.int64), saliency.shape[:2])
        predictions = outputs[self.contract.outputs["score"]]
        return Explanation(
            predictions,
            saliency,
            classes,
            outputs,
            self.labels,
            self.contract.activation,
            method=self.contract.method,
            seconds=seconds,
        )

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


def _first(found: Explanation, count: int) -> Explanation:
    """The first image of a batch of ``count``."""
    outputs = {
        name: value[:1] if value.ndim and len(value) == count else value for name, value in found.outputs.items()
    }
    return replace(
        found,
        predictions=found.predictions[:1],
        saliency=found.saliency[:1],
        classes=found.classes[:1],
        outputs=outputs,
    )
