"""The files of a finished evaluation: a row per picture, a figure per method, a page to look at."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.evaluation.page import page
from onnx_reciprocam.evaluation.summary import to_rows
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.evaluation.gallery import Gallery
    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.run import Evaluation

IMAGES, SUMMARY, PAGE = "images.parquet", "summary.csv", "report.html"


def write_results(found: Evaluation, model: str, protocol: Protocol, labels: Sequence[str], gallery: Gallery) -> None:
    """Write all three beside the rows, replacing those of an earlier run.

    Raises:
        MissingPackageError: pyarrow or jinja2 is not installed.
        WriteError: The disk is full, or the like.
    """
    write_atomically(found.folder / IMAGES, _parquet(found))
    write_atomically(found.folder / SUMMARY, _csv(found))
    write_atomically(found.folder / PAGE, page(found, model, protocol, labels, gallery).encode())


def _parquet(found: Evaluation) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingPackageError("pyarrow", "evaluate") from None
    columns = list(dict.fromkeys(name for row in found.rows for name in row))
    table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in found.rows])
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _csv(found: Evaluation) -> bytes:
    rows = to_rows(found.lines)
    stream = io.StringIO()
    names = ["method", "metric", "value", "low", "high", "pictures", "better", "seconds", "failed"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows
    )
    return stream.getvalue().encode()
