"""Writing a model so that it is there whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onnx.external_data_helper import uses_external_data

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.graph.model import location

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Fail before the work, not after it.

    Raises:
        WriteError: The file exists and may not be replaced, or its folder is missing or read-only.
    """
    if path.is_dir():
        raise WriteError(str(path), "it is a folder; name a file.")
    if path.exists() and not overwrite:
        raise WriteError(str(path), "it exists. Replace it with --overwrite, or name another file.")
    if not path.parent.is_dir():
        raise WriteError(str(path), f"no folder {str(path.parent)!r}; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise WriteError(str(path), "no permission to write in its folder.")


def save(model: onnx.ModelProto, path: Path, *, source_folder: Path | None = None, overwrite: bool = False) -> None:
    """Write ``model``, and copies of its external data files from ``source_folder`` beside it.

    Args:
        model: May refer to external data; the copies are named after ``path``, so that no two models share a file.
        path: Where to; the name appears only once every byte is on the disk.
        source_folder: Where the model's external data lies now.
        overwrite: Replace an existing file.

    Raises:
        WriteError: It exists, or cannot be written (permission, no space).
    """
    check_writable(path, overwrite=overwrite)
    external = [tensor for tensor in model.graph.initializer if uses_external_data(tensor)]
    renamed = {name: f"{path.name}.data{i or ''}" for i, name in enumerate(sorted({location(t) for t in external}))}
    with _staged(path, [path.parent / name for name in renamed.values()]) as (staged, staged_data):
        for name, copy in zip(renamed, staged_data, strict=True):
            shutil.copyfile((source_folder or Path()) / name, copy)
        for tensor in external:
            entry = next(entry for entry in tensor.external_data if entry.key == "location")
            entry.value = renamed[entry.value]
        staged.write_bytes(model.SerializeToString())


@contextmanager
def _staged(path: Path, others: list[Path]) -> Iterator[tuple[Path, list[Path]]]:
    """Temporary names for files that take their real ones together, the main one last, or vanish together."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged = [Path(folder) / final.name for final in (*others, path)]
            yield staged[-1], staged[:-1]
            for source, final in zip(staged, (*others, path), strict=True):
                with source.open("rb") as stream:
                    os.fsync(stream.fileno())
                source.replace(final)
    except OSError as error:
        raise WriteError(str(path), f"{error.strerror or error}.") from None
