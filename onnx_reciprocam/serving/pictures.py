"""Pictures as questions, and answers that people and pages can show."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from onnx_reciprocam.contract import CLASS_IDS_INPUT, TOGGLE_INPUT
from onnx_reciprocam.errors import ImageError, ReciprocamError
from onnx_reciprocam.runtime import View, read_image
from onnx_reciprocam.runtime.picture_header import read_header
from onnx_reciprocam.runtime.scores import probabilities
from onnx_reciprocam.serving.question import Question
from onnx_reciprocam.serving.rejections import BadRequestError, TooLargeError
from onnx_reciprocam.serving.wire import read_json
from onnx_reciprocam.visualise import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.runtime import ExplainedSession, Explanation
    from onnx_reciprocam.visualise import Region

_TOP = 5
_MOST = 1000


@dataclass(frozen=True, eq=False)
class Wish:
    """A request for pictures or arrays to be looked at.

    Args:
        instances: Bytes of picture files, or nested lists as the model takes them.
        class_ids: The classes to explain, for files rewritten with ``--classes input``.
        top: How many of the best classes to name.
        rank: Which map to draw, 0 for that of the class that scored best.
    """

    instances: Sequence[bytes | list[Any]]
    class_ids: tuple[int, ...] | None = None
    top: int = _TOP
    rank: int = 0


class Seen(NamedTuple):
    """Size of a picture, and the part of it that the network saw."""

    height: int
    width: int
    region: Region


def read_wish(body: bytes, content_type: str, query: Mapping[str, str]) -> Wish:
    """The body as JSON where it says so, else as one picture.

    Raises:
        BadRequestError: It is neither, or a parameter is not what it should be.
    """
    if "json" not in content_type.partition(";")[0]:
        return _with_parameters([body], query)
    said = read_json(body)
    instances = said.get("instances")
    if not isinstance(instances, list) or not instances:
        raise BadRequestError('the body is JSON without a picture in it; send {"instances": [{"b64": "..."}]}.')
    parameters = said.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise BadRequestError("'parameters' is an object.")
    return _with_parameters([_instance(each) for each in instances], {**query, **(parameters or {})})


def look(
    wish: Wish, session: ExplainedSession, max_pixels: int, *, explain: bool
) -> tuple[Question, list[Seen | None]]:
    """Decode and prepare; None for what was seen of an array.

    Raises:
        TooLargeError: The pictures have more pixels together than a request may.
        ReciprocamError: A picture cannot be read, or does not fit the model.
    """
    _check_pixels(wish, max_pixels)
    batches: list[NDArray[Any]] = []
    seen: list[Seen | None] = []
    for instance in wish.instances:
        if isinstance(instance, bytes):
            batch, view = session.prepare(instance)
            height, width = view.picture.shape[:2]
            seen.append(Seen(height, width, view.region))
        else:
            batch = _array(instance)
            seen.append(None)
        batches.append(session.image.fit(batch))
    if len({batch.shape for batch in batches}) > 1:
        raise BadRequestError("the instances differ in shape; send each in a request of its own.")
    ids = None
    if wish.class_ids is not None:
        ids = np.array([wish.class_ids] * len(batches), np.int64)
    elif CLASS_IDS_INPUT in session.contract.inputs and not explain:
        ids = np.zeros((len(batches), 1), np.int64)  # the file wants some; nobody reads the map
    always = TOGGLE_INPUT not in session.contract.inputs
    return Question(np.concatenate(batches), ids, explain or always), seen


def said(found: Explanation, seen: Sequence[Seen | None], top: int, *, explain: bool) -> bytes:
    """The answer as JSON: best classes per picture and, with ``explain``, its maps."""
    answer: dict[str, Any] = {"predictions": [{"classes": _top(found, top, i)} for i in range(len(seen))]}
    if explain:
        answer["explanations"] = [_maps(found, view, i) for i, view in enumerate(seen)]
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def drawn(found: Explanation, instance: bytes, seen: Seen, rank: int) -> bytes:
    """The picture with a map over it, as PNG. It is decoded anew: holding every waiting picture would take the memory.

    Raises:
        BadRequestError: There is no such map.
    """
    try:
        shown = replace(found, views=(View(read_image(instance), seen.region),)).overlay(rank=rank)
    except ReciprocamError as error:
        raise BadRequestError(str(error)) from error
    return encode(shown, ".png")


def _check_pixels(wish: Wish, most: int) -> None:
    """Refuse by the headers, before anything is decoded."""
    total = 0
    for instance in wish.instances:
        if isinstance(instance, bytes):
            try:
                header = read_header(instance)
            except ValueError as error:
                raise ImageError("the picture", str(error)) from error
            total += header.height * header.width
    if total > most:
        raise TooLargeError(f"{total:,} pixels are above {most:,}; make the picture smaller first.")


def _instance(value: object) -> bytes | list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        value = value.get("b64")
    if not isinstance(value, str):
        raise BadRequestError('an instance is {"b64": "..."}, a text of base64, or nested lists of numbers.')
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError("an instance is no base64.") from error


def _array(instance: list[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(instance)
    except (ValueError, OverflowError) as error:
        raise BadRequestError("an instance is no array: its lists differ in length.") from error
    return array[None]


def _with_parameters(instances: list[bytes | list[Any]], given: Mapping[str, Any]) -> Wish:
    ids = given.get("class_ids")
    if isinstance(ids, str):
        ids = ids.split(",")
    if ids is not None and (not isinstance(ids, list) or not 0 < len(ids) <= _MOST):
        raise BadRequestError("parameter 'class_ids' takes numbers of classes, such as [3, 7].")
    return Wish(
        instances,
        None if ids is None else tuple(_whole("class_ids", each, 0, 2**31) for each in ids),
        _whole("top", given.get("top", _TOP), 1, _MOST),
        _whole("rank", given.get("rank", 0), 0, _MOST),
    )


def _whole(name: str, value: object, low: int, high: int) -> int:
    text = str(value)
    digits = text.isascii() and text.isdigit() and len(text) <= 10 and not isinstance(value, bool)
    if not digits or not low <= int(text) <= high:
        raise BadRequestError(f"parameter {name!r} is {text[:40]!r}; it takes a whole number from {low} to {high}.")
    return int(text)


def _top(found: Explanation, top: int, index: int) -> list[dict[str, Any]]:
    return [each._asdict() for each in found.top(top, index=index)]


def _maps(found: Explanation, seen: Seen | None, index: int) -> dict[str, Any]:
    """Of one picture, best-scored class first."""
    scores = probabilities(np.asarray(found.predictions[index]).reshape(-1), found.activation)
    maps = []
    for place in found.ranked(index):
        class_id, cells = int(found.classes[index, place]), found.saliency[index, place]
        maps.append(
            {
                "class_id": class_id,
                "label": found.label(class_id),
                "score": float(scores[class_id]),
                "flat": bool(cells.max() == cells.min()),
                "saliency": np.ascontiguousarray(cells),
            }
        )
    if seen is None:
        return {"maps": maps}
    return {"picture": {"height": seen.height, "width": seen.width}, "region": seen.region._asdict(), "maps": maps}
