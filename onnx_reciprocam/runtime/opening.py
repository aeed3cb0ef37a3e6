"""A model file as a running onnxruntime session, its failures in one line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from onnx_reciprocam.errors import ModelFileError, OptionError, runtime_reason

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

Source: TypeAlias = str | os.PathLike[str] | bytes | onnxruntime.InferenceSession


def open_session(model: Source, providers: Sequence[Any] | None, session_options: Any) -> onnxruntime.InferenceSession:
    """Load ``model``; without ``providers`` on the CPU. A session is handed through.

    Raises:
        ModelFileError: onnxruntime cannot load it.
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
    try:
        loadable = model if isinstance(model, bytes) else os.fspath(model)
        return onnxruntime.InferenceSession(loadable, session_options, providers or ["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ModelFileError(source_name(model), f"onnxruntime cannot load it: {runtime_reason(error)}") from error


def source_name(model: Source) -> str:
    """How messages call ``model``."""
    return os.fspath(model) if isinstance(model, (str, os.PathLike)) else "the model"
