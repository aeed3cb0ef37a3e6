"""Metrics that add up over the workers of a service.

prometheus_client keeps them in files, one per kind and process. Here a file belongs to a worker's number instead: whoever
replaces a worker goes on counting in its files, so counters never fall and the files do not become more.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import struct
import tempfile
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, exposition, multiprocess, values

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_WORKER = "onnx-reciprocam worker "

_MAKING = 0.01
"""Seconds in which a file that has been opened gets its size."""


def name_of(worker: int) -> str:
    """Of a worker's process; what is imported there finds by it that its metrics are a part only."""
    return f"{_WORKER}{worker}"


def is_part() -> bool:
    """Whether this process is one of several workers."""
    return multiprocessing.current_process().name.startswith(_WORKER)


def count_as_part() -> None:
    """Keep the metrics that are made from now on in the files of this worker's number."""
    values.ValueClass = values.MultiProcessValue(  # type: ignore[no-untyped-call]
        lambda: multiprocessing.current_process().name
    )


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """Where workers that are started meanwhile keep their metrics."""
    before = os.environ.get(_FOLDER)
    with tempfile.TemporaryDirectory(prefix="onnx-reciprocam-") as made:
        os.environ[_FOLDER] = made
        try:
            yield made
        finally:
            os.environ.pop(_FOLDER)
            if before is not None:
                os.environ[_FOLDER] = before


def clear_up() -> None:
    """Remove the folder in place of a parent that cannot; what is open there goes on to count, for nobody."""
    shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)


def forget(worker: int) -> None:
    """What a dead worker had in hand is in nobody's hands; what it has done stays counted."""
    multiprocess.mark_process_dead(name_of(worker), os.environ[_FOLDER])  # type: ignore[no-untyped-call]


def written(accept: str | None) -> tuple[bytes, str]:
    """The sum over all workers, in a form that the reader accepts, and the name of that form."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encoder, content_type = exposition.choose_encoder(accept or "")
    try:
        return encoder(registry), content_type
    except struct.error:  # the file of a worker that is just starting is empty yet
        time.sleep(_MAKING)
        return encoder(registry), content_type
