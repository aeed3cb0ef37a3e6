"""A row of a batch as the page shows it: small pictures on disk, and what stands beside them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam.errors import ImageError
from onnx_reciprocam.reporting.facts import MapFacts, facts, flat
from onnx_reciprocam.reporting.thumbnails import canvas, drawn, jpeg
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.visualise import rescale

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from onnx_reciprocam.reporting.batch_folder import Row
    from onnx_reciprocam.reporting.originals import Originals
    from onnx_reciprocam.reporting.thumbnails import Canvas
    from onnx_reciprocam.visualise import Picture


CELLS = 1024
"""Of a map that the page draws itself where it is enlarged; larger ones are shown as the small picture of them."""


class Place(NamedTuple):
    """Where a row's files go: the folder of the page's data, and their names' beginning within."""

    data: Path
    stem: str


def card(row: Row, originals: Originals, place: Place) -> dict[str, Any]:
    """Draw a row's small pictures, and say what the page needs of it.

    Raises:
        WriteError: The disk is full, or the like.
    """
    told: dict[str, Any] = {"path": row.told["path"]}
    if row.maps is None or not len(row.maps):
        return told | {"error": row.told["error"] or "it has no map"}
    picture, gone = _picture(row.told, originals)
    known = facts(row.told, row.maps)
    sheet = canvas(row.told, picture, row.maps.shape[1:])
    told |= {
        "top": _top(row.told),
        "maps": [_shown(each, row.maps[each.place], sheet, place, row.told) for each in known],
        "flat": bool(flat(row.maps).any()),
        "shape": [sheet.width, sheet.height],
        "seen": _shares(sheet),
        "size": [row.told.get("width"), row.told.get("height")],
        "seconds": row.told.get("seconds"),
    }
    if picture is None or sheet.picture is None:
        return told | {"gone": gone}
    file = f"{place.stem}.jpg"
    write_atomically(place.data / file, jpeg(sheet.picture))
    return told | {"picture": file, "original": originals.address(row.told["path"])}


def _picture(told: Mapping[str, Any], originals: Originals) -> tuple[Picture | None, str]:
    """The picture, or why there is none."""
    try:
        return originals.read(told), ""
    except ImageError as error:
        return None, error.reason


def _shares(sheet: Canvas) -> list[float]:
    """What the network saw as shares of the picture: top, left, height, width."""
    rows, columns = sheet.region.pixels()
    down, across = rows.stop - rows.start, columns.stop - columns.start
    return [rows.start / sheet.height, columns.start / sheet.width, down / sheet.height, across / sheet.width]


def _top(told: Mapping[str, Any]) -> list[list[Any]]:
    """Names and probabilities, best first."""
    names = _names(told)
    return [[names[class_id], score] for class_id, score in zip(told["top_classes"], told["top_scores"], strict=True)]


def _names(told: Mapping[str, Any]) -> dict[int, str]:
    """Of the best classes, by their numbers where there is nothing else."""
    classes, labels = told["top_classes"], told.get("top_labels") or ()
    named = labels if len(labels) == len(classes) else [""] * len(classes)
    return {class_id: label or f"class {class_id}" for class_id, label in zip(classes, named, strict=True)}


def _shown(
    known: MapFacts, saliency: NDArray[np.float32], sheet: Canvas, place: Place, told: Mapping[str, Any]
) -> dict[str, Any]:
    """A map: its class by name where the row knows that, and its file, none where it cannot be drawn."""
    file, cells = "", ""
    if known.entropy is not None:
        file = f"{place.stem}-{known.class_id}.jpg"
        write_atomically(place.data / file, drawn(sheet, saliency))
        cells = _cells(saliency)
    return {
        "label": _names(told).get(known.class_id) or f"class {known.class_id}",
        "entropy": known.entropy,
        "flat": known.flat,
        "file": file,
        "cells": cells,
        "columns": saliency.shape[1],
    }


def _cells(saliency: NDArray[np.float32]) -> str:
    """A small map scaled to a byte per cell, for the page to draw at any size; nothing of a large one."""
    if saliency.size > CELLS:
        return ""
    return base64.b64encode(np.rint(255 * rescale(saliency)).astype(np.uint8).tobytes()).decode()
