"""Sessions: a model, optimised or not, as a function from named arrays to named arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from onnx_reciprocam.errors import ModelFileError, runtime_reason

if TYPE_CHECKING:
    from onnx_reciprocam.verification.loading import Model

Feeds = Mapping[str, NDArray[Any]]

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    native.EPFail,
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoSuchFile,
    native.NotFound,
    native.NotImplemented,
    native.RuntimeException,
    RuntimeError,
    ValueError,
)
"""What onnxruntime raises; its own classes share no base."""

NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(bool)": np.dtype(np.bool_),
    **{f"tensor({kind}{bits})": np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Slot:
    """An input or output: numpy's dtype (None where numpy has none), the declared shape, None where a side is free, and its name."""

    kind: str
    shape: tuple[int | None, ...]
    symbols: tuple[str | None, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The numpy type of its arrays."""
        return NUMPY_TYPES.get(self.kind)


class Runner:
    """One onnxruntime session."""

    def __init__(self, session: ort.InferenceSession, name: str) -> None:
        self._session, self._name = session, name
        self.inputs = {arg.name: _slot(arg) for arg in session.get_inputs()}
        self.overridable = {arg.name: _slot(arg) for arg in session.get_overridable_initializers()}
        self.outputs = {arg.name: _slot(arg) for arg in session.get_outputs()}

    def run(self, feeds: Feeds) -> dict[str, Any]:
        """Every output by name; feeds that the model does not take are left out.

        Raises:
            ModelFileError: onnxruntime cannot run it on these.
        """
        known = {name: array for name, array in feeds.items() if name in self.inputs or name in self.overridable}
        try:
            return dict(zip(self.outputs, self._session.run(None, known), strict=True))
        except RUNTIME_ERRORS as error:
            raise ModelFileError(self._name, f"onnxruntime cannot run it: {runtime_reason(error)}") from error


@dataclass(frozen=True)
class Runtime:
    """How sessions are made.

    Args:
        providers: onnxruntime's execution providers.
        options: Makes fresh session options for each session.
    """

    providers: Sequence[str]
    options: Callable[[], ort.SessionOptions]

    def open(self, model: Model, *, optimised: bool = True) -> Runner:
        """Load a model, with onnxruntime's default graph optimisations or none.

        Raises:
            ModelFileError: onnxruntime refuses it.
        """
        options = self.options()
        if not optimised:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        source = os.fspath(model.file) if model.encoded is None and model.file else model.encoded
        if model.encoded is not None and model.folder is not None:
            folder = os.fspath(model.folder.absolute())
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        try:
            return Runner(ort.InferenceSession(source, options, providers=list(self.providers)), model.name)
        except RUNTIME_ERRORS as error:
            raise ModelFileError(model.name, f"onnxruntime cannot load it: {runtime_reason(error)}") from error


def quiet_options() -> ort.SessionOptions:
    """Default session options that print errors only."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return options


def _slot(arg: ort.NodeArg) -> Slot:
    declared = tuple(arg.shape or ())
    sides = (side if isinstance(side, int) and side > 0 else None for side in declared)
    return Slot(arg.type, tuple(sides), tuple(side if isinstance(side, str) else None for side in declared))
