"""A row per picture, and rows as Arrow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from onnx_reciprocam.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx_reciprocam.runtime import Explanation
    from onnx_reciprocam.visualise import Region

TOP = 5
"""Classes per row."""

Row: TypeAlias = dict[str, Any]
"""Values by column of :func:`schema`; a column that is missing is null."""


def explained_row(result: Explanation, index: int, size: tuple[int, int], seen: Region) -> Row:
    """What a run said of one of its pictures."""
    top = result.top(TOP, index=index)
    saliency = result.saliency[index]
    return {
        "height": size[0],
        "width": size[1],
        "seen": list(seen),
        "top_classes": [each.class_id for each in top],
        "top_scores": [each.score for each in top],
        "top_labels": [each.label for each in top],
        "classes": [int(each) for each in result.classes[index]],
        "map": saliency.reshape(-1),
        "map_shape": list(saliency.shape),
        "method": result.method,
        "seconds": result.seconds / len(result.saliency),
    }


def readable(name: str) -> str:
    """A path as text that can be written anywhere, whatever bytes its file system allows."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def schema(cells: int) -> Any:
    """The columns, for maps of so many numbers per picture.

    ``path``: the picture's, or its URL, ``FILE.tar/MEMBER`` or ``FILE.parquet#ROW``. ``sha256``: of its bytes.
    ``height``, ``width``: upright. ``seen``: top, left, height and width of the part that the network saw, in its pixels.
    ``top_classes``, ``top_scores``, ``top_labels``: the best classes with their probabilities. ``classes``: those
    explained. ``map``: their maps one after the other, ``map_shape`` ``[K, H, W]``. ``overlay``: a file of the batch.
    ``seconds``: of the run, the picture's share. ``error``: why the others are null.
    """
    pa = arrow()
    return pa.schema(
        [
            ("path", pa.string()),
            ("sha256", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("seen", pa.list_(pa.float64())),
            ("top_classes", pa.list_(pa.int32())),
            ("top_scores", pa.list_(pa.float32())),
            ("top_labels", pa.list_(pa.string())),
            ("classes", pa.list_(pa.int32())),
            ("map", pa.list_(pa.float32(), cells)),
            ("map_shape", pa.list_(pa.int32())),
            ("overlay", pa.string()),
            ("method", pa.string()),
            ("model_sha256", pa.string()),
            ("settings", pa.string()),
            ("seconds", pa.float32()),
            ("error", pa.string()),
        ]
    )


def record_batch(rows: Sequence[Row], cells: int, constants: Mapping[str, str]) -> Any:
    """Rows as a ``pyarrow.RecordBatch`` of :func:`schema`.

    Args:
        rows: They.
        cells: Numbers per map column.
        constants: Columns that are the same in every row.

    Raises:
        MissingPackageError: pyarrow is not installed.
    """
    pa = arrow()
    columns = schema(cells)
    arrays = [
        _maps(rows, cells) if each.name == "map" else pa.array([row.get(each.name) for row in rows], each.type)
        for each in columns
        if each.name not in constants
    ]
    held = iter(arrays)
    return pa.record_batch(
        [
            pa.array([constants[each.name]] * len(rows), each.type) if each.name in constants else next(held)
            for each in columns
        ],
        schema=columns,
    )


def _maps(rows: Sequence[Row], cells: int) -> Any:
    pa = arrow()
    failed = np.array([row.get("map") is None for row in rows])
    blank = np.zeros(cells, np.float32)
    values = np.concatenate([blank if row.get("map") is None else row["map"] for row in rows])
    return pa.FixedSizeListArray.from_arrays(pa.array(values), cells, mask=pa.array(failed))


def arrow() -> Any:
    """Pyarrow's module.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingPackageError("pyarrow", "batch") from None
    return pa
