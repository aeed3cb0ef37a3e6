"""A model file as a running onnxruntime session, its failures in one line."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from onnx_reciprocam.errors import ModelFileError, OptionError, runtime_reason
from onnx_reciprocam.external_data import data_file
from onnx_reciprocam.runtime.declared_files import declared_files

if TYPE_CHECKING:
    from collections.abc import Sequence

# onnxruntime's exceptions have no base class of their own.
ORT_ERRORS: tuple[type[Exception], ...] = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
)

_FOLDER_KEY = "session.model_external_initializers_file_folder_path"
Source: TypeAlias = str | os.PathLike[str] | bytes | onnxruntime.InferenceSession


def open_session(model: Source, providers: Sequence[Any] | None, session_options: Any) -> onnxruntime.InferenceSession:
    """Load ``model``; without ``providers`` on the CPU. A session is handed through.

    Raises:
        ModelFileError: onnxruntime cannot load it, or its external data is outside its folder.
        OptionError: Providers or options come with a session, which has its own.
    """
    if isinstance(model, onnxruntime.InferenceSession):
        if providers is not None or session_options is not None:
            raise OptionError(
                "model", "an InferenceSession", ("a path or bytes when it comes with providers or options",)
            )
        return model
    if not isinstance(model, bytes) and not os.path.isfile(model):  # noqa: PTH113 - bytes are no path
        raise ModelFileError(os.fspath(model), "is a folder" if os.path.isdir(model) else "no such file")  # noqa: PTH112 - bytes are no path
    external_files(model, _told_folder(session_options) if isinstance(model, bytes) else None)
    try:
        loadable = model if isinstance(model, bytes) else os.fspath(model)
        return onnxruntime.InferenceSession(loadable, session_options or quiet(), providers or ["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ModelFileError(source_name(model), f"onnxruntime cannot load it: {runtime_reason(error)}") from error


def quiet() -> onnxruntime.SessionOptions:
    """Options that print nothing: what fails is raised."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def external_files(model: str | os.PathLike[str] | bytes, folder: Path | None = None) -> dict[str, Path]:
    """The files of a model's external data, by what the model calls them, in order.

    onnxruntime 1.23 opens whatever a model names.

    Args:
        model: Its path, or its bytes.
        folder: Where those files are; beside the path if None.

    Raises:
        ModelFileError: The model is damaged, or one of them is missing or outside of the folder.
    """
    name = source_name(model)
    try:
        locations = declared_files(model if isinstance(model, bytes) else _mapped(Path(model)))
    except ValueError:
        raise ModelFileError(name, "is no ONNX file, or a damaged one: export or copy it again.") from None
    except OSError as error:
        raise ModelFileError(name, f"cannot be read ({error.strerror}).") from error
    if folder is None and not isinstance(model, bytes):
        folder = Path(model).absolute().parent
    if locations and folder is None:
        raise ModelFileError(name, "keeps its weights in external files: pass the path of the .onnx file instead.")
    return {location: data_file(folder or Path(), location, name) for location in sorted(locations)}


def _mapped(path: Path) -> mmap.mmap:
    """A file's bytes, none of which are read before they are looked at; an empty file is a ValueError."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _told_folder(options: Any) -> Path | None:
    """Where the options say that a model that comes as bytes has its external data."""
    try:
        return Path(options.get_session_config_entry(_FOLDER_KEY))
    except (AttributeError, RuntimeError):  # no options, no such entry
        return None


def source_name(model: Source) -> str:
    """How messages call ``model``."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else "the model"
