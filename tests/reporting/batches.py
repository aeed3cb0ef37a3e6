"""Batches as `batch` leaves them, made here row by row."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.dataset.finished import Finished, write_finished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

LABELS = ("tabby cat", "red fox", "lighthouse", "teapot", "sailing boat", "barn owl", "bicycle")
HOSTILE = "</script><script>document.body.remove()</script><img src=x onerror=document.body.remove()>&amp;"
"""What must stay words."""
GRID = 7
CELLS = np.stack(np.mgrid[:GRID, :GRID], axis=-1)
SETTINGS = {
    "model": "resnet.onnx", "model_sha256": "ab" * 32, "method": "reciprocam", "source": ["pictures"],
    "preprocessing": json.loads(Preprocessing().to_json()), "format": "parquet", "batch_size": 8, "rows_per_part": 100,
}  # fmt: skip
SCHEMA = {
    "path": pa.string(), "sha256": pa.string(), "height": pa.int32(), "width": pa.int32(), "seen": pa.list_(pa.float32()),
    "top_classes": pa.list_(pa.int32()), "top_scores": pa.list_(pa.float32()), "top_labels": pa.list_(pa.string()),
    "classes": pa.list_(pa.int32()), "map_shape": pa.list_(pa.int32()), "overlay": pa.string(), "method": pa.string(),
    "model_sha256": pa.string(), "settings": pa.string(), "seconds": pa.float32(), "error": pa.string(),
}  # fmt: skip


def spot(across: int, down: int, spread: float = 2.0) -> np.ndarray:
    """A map ``[GRID, GRID]`` that is largest at one cell."""
    return np.exp(-((CELLS - (down, across)) ** 2).sum(axis=-1) / spread).astype(np.float32)


def row(path: Path | str, maps: np.ndarray, classes: list[int], score: float = 0.9, **other: Any) -> dict[str, Any]:
    """A row of maps ``[K, GRID, GRID]`` of a picture, whose size and hash are read where it is a file."""
    top = [classes[0], *(c for c in range(len(LABELS)) if c != classes[0])][:5]
    rest = (1 - score) / 4
    told = {
        "path": str(path), "sha256": None, "height": None, "width": None, "seen": None,
        "top_classes": top, "top_scores": [score, *[rest] * 4], "top_labels": [LABELS[c] for c in top],
        "classes": classes, "map": maps.reshape(-1).tolist(), "map_shape": list(maps.shape), "overlay": None,
        "method": "reciprocam", "model_sha256": SETTINGS["model_sha256"], "settings": "{}", "seconds": 0.012,
        "error": None,
    }  # fmt: skip
    return told | other


def failed(path: Path | str, error: str) -> dict[str, Any]:
    """A row of a picture that was not explained."""
    return dict.fromkeys([*SCHEMA, "map"]) | {"path": str(path), "error": error}


def photo(path: Path, number: int, size: tuple[int, int] = (240, 320)) -> dict[str, Any]:
    """Draw a disk on a ground, and say what a row says of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    rng = np.random.default_rng(number)
    picture = np.empty((*size, 3), np.uint8)
    picture[:] = rng.integers(40, 216, 3)
    picture[height // 2 :] = picture[height // 2 :] // 2
    across, down = (int(rng.integers(side // 4, 3 * side // 4)) for side in (width, height))
    cv2.circle(picture, (across, down), min(size) // 6, [int(c) for c in rng.integers(0, 256, 3)], -1, cv2.LINE_AA)
    cv2.putText(picture, str(number), (8, height - 12), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2, cv2.LINE_AA)
    data = cv2.imencode(path.suffix, picture)[1].tobytes()
    path.write_bytes(data)
    place = (across * GRID // width, down * GRID // height)
    return {"sha256": hashlib.sha256(data).hexdigest(), "height": height, "width": width, "spot": place}


def pictured(file: Path, number: int, size: tuple[int, int] = (240, 320), **other: Any) -> dict[str, Any]:
    """A row of a picture drawn for it, its map upon the disk."""
    told = photo(file, number, size)
    where = told.pop("spot")
    rng = np.random.default_rng(number)
    classes = [int(c) for c in rng.permutation(len(LABELS))[:2]]
    maps = np.stack([spot(*where, spread=float(rng.uniform(0.5, 12))), spot(*rng.integers(0, GRID, 2))])
    return row(file, maps, classes, float(rng.beta(4, 1.5) * 0.8 + 0.2), **told) | other


def write_batch(folder: Path, rows: Iterable[Mapping[str, Any]], per_part: int = 100, **settings: Any) -> Path:
    """The rows as a finished batch's folder."""
    rows, count = list(rows), 0
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(SETTINGS | settings))
    for number, part in enumerate(_parts(rows, per_part)):
        length = max((len(each["map"]) for each in part if each["map"] is not None), default=1)
        schema = pa.schema({**SCHEMA, "map": pa.list_(pa.float32(), length)})
        pq.write_table(pa.Table.from_pylist(part, schema), folder / "rows" / f"part-{number:06}-0123abcd.parquet")
        count = number + 1
    write_finished(folder, Finished(len(rows), count))
    return folder


def _parts(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for each in rows:
        part.append(dict(each))
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
