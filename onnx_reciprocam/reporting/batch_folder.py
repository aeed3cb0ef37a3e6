"""What `batch` left on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam.dataset import items
from onnx_reciprocam.dataset.parts import ROWS, part_files, read_rows
from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.result_folder import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAKE_ONE = "Make one: onnx-reciprocam batch MODEL SOURCE -o DIR"
_AT_ONCE = 64
"""Rows whose columns are Python's own at a time."""


class Row(NamedTuple):
    """A row of a batch: what it says by column, and its maps ``[K, h, w]``, None where it failed."""

    told: dict[str, Any]
    maps: NDArray[np.float32] | None


def read_settings(folder: Path) -> dict[str, Any]:
    """What a batch was made with.

    Raises:
        SourceError: The folder holds no batch.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text("utf-8"))
    except FileNotFoundError:
        there = "holds no batch" if folder.is_dir() else "there is no such folder"
        raise SourceError(str(folder), f"{there}. {MAKE_ONE}") from None
    except OSError as error:
        raise SourceError(str(folder), f"{(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise SourceError(str(folder / SETTINGS), f"it is damaged. {MAKE_ONE}") from error
    if not isinstance(settings, dict) or "model_sha256" not in settings:
        raise SourceError(str(folder), f"it holds something else than a batch. {MAKE_ONE}")
    return settings


def count_rows(folder: Path) -> int:
    """How many rows there are; Parquet files say so themselves, others are read.

    Raises:
        MissingPackageError: pyarrow is not installed.
        SourceError: A part is damaged.
    """
    parquet = items.parquet()
    count = 0
    for _, _, part in part_files(folder / ROWS):
        if part.suffix != ".parquet":
            return sum(batch.num_rows for batch in read_rows(folder))
        try:
            count += parquet.read_metadata(part).num_rows
        except (OSError, ValueError) as error:
            raise SourceError(str(part), "it is damaged; remove it and run the batch again") from error
    return count


def rows(folder: Path) -> Iterator[Row]:
    """Every row, in the order of the source; a part of them is in memory at a time.

    Raises:
        SourceError: A part is damaged, or no batch wrote it.
    """
    for batch in read_rows(folder):
        if missing := {"path", "map", "map_shape", "classes", "top_classes", "error"} - set(batch.schema.names):
            raise SourceError(str(folder / ROWS), f"its rows have no {', '.join(sorted(missing))}. {MAKE_ONE}")
        for start in range(0, batch.num_rows, _AT_ONCE):
            few = batch.slice(start, _AT_ONCE)
            for told, cells in zip(few.drop_columns(["map"]).to_pylist(), few.column("map"), strict=True):
                yield Row(told, _maps(told, cells.values))


def _maps(told: dict[str, Any], cells: Any) -> NDArray[np.float32] | None:
    if told["error"] is not None or cells is None:
        return None
    return np.asarray(cells.to_numpy(zero_copy_only=False), np.float32).reshape(told["map_shape"])
