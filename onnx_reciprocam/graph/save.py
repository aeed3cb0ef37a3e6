"""Writing a model so that it is there whole or not at all."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from onnx.external_data_helper import uses_external_data

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.graph.checked import location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx


def check_writable(path: Path, *, overwrite: bool) -> None:
    """Fail before the work, not after it.

    Raises:
        WriteError: The file exists and may not be replaced, or its folder is missing or read-only.
    """
    try:
        problem = _obstacle(path, overwrite=overwrite)
    except OSError as error:  # a name too long, a folder that may not be entered
        problem = f"{error.strerror}."
    if problem:
        raise WriteError(str(path), problem)


def _obstacle(path: Path, *, overwrite: bool) -> str:
    if path.is_dir():
        return "it is a folder; name a file."
    if path.exists() and not path.is_file():
        return "it is a device or a pipe; name a file."
    if path.exists() and not overwrite:
        return "it exists. Replace it with --overwrite, or name another file."
    if not path.parent.is_dir():
        return f"no folder {str(path.parent)!r}; make it first."
    return "" if os.access(path.parent, os.W_OK) else "no permission to write in its folder."


def save(model: onnx.ModelProto, path: Path, *, source_folder: Path | None = None, overwrite: bool = False) -> None:
    """Write ``model``, and copies of its external data files from ``source_folder`` beside it.

    Args:
        model: May refer to external data; the copies are named after ``path``, so that no two models share a file.
        path: Where to; the name appears only once every byte is on the disk.
        source_folder: Where the model's external data lies now.
        overwrite: Replace an existing file.

    Raises:
        WriteError: It or a data file beside it exists, or cannot be written (permission, no space).
    """
    files = sorted({location(tensor) for tensor in _external(model)})
    copies = {name: path.parent / f"{path.name}.data{i or ''}" for i, name in enumerate(files)}
    for file in (path, *copies.values()):
        check_writable(file, overwrite=overwrite)
    with _staged(path, list(copies.values()), overwrite=overwrite) as (staged, staged_data):
        for name, staged_copy in zip(files, staged_data, strict=True):
            shutil.copyfile((source_folder or Path()) / name, staged_copy)
        staged.write_bytes(_relocated(model, {name: file.name for name, file in copies.items()}).SerializeToString())


def _external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    return (tensor for tensor in model.graph.initializer if uses_external_data(tensor))


def _relocated(model: onnx.ModelProto, moved: Mapping[str, str]) -> onnx.ModelProto:
    """A copy whose external data lie elsewhere; the model itself where it has none."""
    if not moved:
        return model
    result = copy.deepcopy(model)
    for tensor in _external(result):
        entry = next(entry for entry in tensor.external_data if entry.key == "location")
        entry.value = moved[entry.value]
    return result


@contextmanager
def _staged(path: Path, others: list[Path], *, overwrite: bool) -> Iterator[tuple[Path, list[Path]]]:
    """Temporary names for files that take their real ones together, the main one last, or vanish together."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged = [Path(folder) / final.name for final in (*others, path)]
            yield staged[-1], staged[:-1]
            for source in staged:
                with source.open("rb") as stream:
                    os.fsync(stream.fileno())
            _place(staged, [*others, path], overwrite=overwrite)
    except OSError as error:
        raise WriteError(str(path), f"{error.strerror or error}.") from None


def _place(staged: list[Path], finals: list[Path], *, overwrite: bool) -> None:
    """Give staged files their real names: all, or none where another run has taken one meanwhile."""
    placed: list[Path] = []
    try:
        for source, final in zip(staged, finals, strict=True):
            if overwrite or not _linked(source, final):
                source.replace(final)
            placed.append(final)
    except FileExistsError:
        for own in placed:
            own.unlink()
        check_writable(final, overwrite=False)  # which says so
        raise


def _linked(source: Path, final: Path) -> bool:
    """Whether the file has its name, as a link, which unlike a rename replaces nothing; not every disk has links.

    Raises:
        FileExistsError: The name is taken.
    """
    try:
        os.link(source, final)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True
