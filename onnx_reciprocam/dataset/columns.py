"""Rows as numpy arrays, one per column, for formats that know no nulls and no lists of different lengths."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.dataset.rows import arrow, schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MISSING: dict[str, Any] = {"i": -1, "f": np.nan, "U": ""}
"""What stands for null, by numpy's kind of type: text that is not there is empty."""


def to_arrays(batch: Any) -> dict[str, NDArray[Any]]:
    """A record batch of :func:`~onnx_reciprocam.dataset.rows.schema` as arrays whose first axis is its rows.

    ``map`` is ``[n, K, H, W]``; rows that failed have NaN, -1 or empty text.
    """
    shape = next((each for each in batch.column("map_shape").to_pylist() if each), None)
    arrays = {
        field.name: _array(field.type, batch.column(field.name).to_pylist())
        for field in batch.schema
        if field.name not in {"map", "map_shape"}
    }
    cells = batch.schema.field("map").type.list_size
    maps = np.full((len(batch), cells), np.nan, np.float32)
    held = np.asarray(batch.column("map").is_valid())
    maps[held] = np.asarray(batch.column("map").drop_null().flatten()).reshape(-1, cells)
    return arrays | {"map": maps.reshape(len(batch), *(shape or (1, 1, cells)))}


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Back to the record batch."""
    pa = arrow()
    maps = np.asarray(arrays["map"])
    failed = np.array([text != "" for text in arrays["error"].tolist()], bool)
    columns = schema(maps[0].size)
    values = {
        "map": pa.FixedSizeListArray.from_arrays(
            pa.array(np.where(failed[:, None], np.float32(0), maps.reshape(len(maps), -1)).reshape(-1)),
            maps[0].size,
            mask=pa.array(failed),
        ),
        "map_shape": pa.array([None if bad else list(maps.shape[1:]) for bad in failed], pa.list_(pa.int32())),
    }
    for field in columns:
        if field.name not in values:
            values[field.name] = pa.array(_present(arrays[field.name], failed), field.type)
    return pa.record_batch([values[field.name] for field in columns], schema=columns)


def _array(kind: Any, values: list[Any]) -> NDArray[Any]:
    from pyarrow import types

    inner = kind.value_type if types.is_list(kind) else kind
    dtype = np.dtype("U") if types.is_string(inner) else np.dtype(inner.to_pandas_dtype())
    missing = _MISSING[dtype.kind]
    if inner is kind:
        return np.array([missing if value is None else value for value in values], dtype)
    width = max((len(value) for value in values if value is not None), default=0)
    padded = [[*(value or []), *[missing] * (width - len(value or []))] for value in values]
    return np.array(padded, dtype).reshape(len(values), width)


def _present(array: NDArray[Any], failed: NDArray[np.bool_]) -> list[Any]:
    """The values, and None where there is none: a row that failed has no lists, and of others no value is missing in one."""
    if array.ndim > 1:
        return [None if bad else row for row, bad in zip(array.tolist(), failed, strict=True)]
    if array.dtype.kind == "f":
        return [None if math.isnan(value) else value for value in array.tolist()]
    missing = _MISSING.get(array.dtype.kind, "")  # zarr's strings have a kind of their own
    return [None if value == missing else value for value in array.tolist()]
