"""One input of a model: what it takes, and arrays made to fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class ModelInput:
    """Name, element type as onnxruntime writes it (``tensor(float)``), and shape, None where a side is dynamic."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, node: Any) -> ModelInput:
        """Read onnxruntime's ``NodeArg``."""
        return cls(node.name, node.type, tuple(side if isinstance(side, int) else None for side in node.shape))

    def fit(self, value: ArrayLike) -> NDArray[Any]:
        """``value`` as the array that the model takes.

        Floats change width freely; anything else must keep its value.

        Raises:
            InputError: Its shape or its numbers do not fit, or some are NaN or infinite.
        """
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise InputError(self.name, f"takes numbers ({self.type}), got {array.dtype}.")
        self._check_shape(array.shape)
        return self._cast(array)

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        wanted = "x".join("?" if side is None else str(side) for side in self.shape)
        got = "x".join(map(str, shape))
        if len(shape) + 1 == len(self.shape):
            raise InputError(self.name, f"takes {wanted}, got {got}; put the batch axis in front: array[None].")
        if len(shape) != len(self.shape) or 0 in shape:
            raise InputError(self.name, f"takes {wanted}, got {got or 'a scalar'}.")
        wrong = [axis for axis, side in enumerate(self.shape) if side not in {None, shape[axis]}]
        if wrong == [0]:
            remedy = f"hand it {self.shape[0]} at a time, or export the model with a dynamic batch"
            raise InputError(self.name, f"the model takes batch {self.shape[0]}, got {shape[0]}; {remedy}.")
        if wrong:
            raise InputError(self.name, f"takes {wanted}, got {got}; check size, colour channels and layout.")

    def _cast(self, array: NDArray[Any]) -> NDArray[Any]:
        if (dtype := _DTYPES.get(self.type)) is None:
            raise InputError(self.name, f"takes {self.type}, which numpy lacks; export the model with a float32 input.")
        with np.errstate(over="ignore", invalid="ignore"):  # judged below
            cast: NDArray[Any] = array.astype(dtype, copy=False)
        if not (np.isfinite(array).all() and np.isfinite(cast).all()):
            raise InputError(self.name, f"has NaN or infinite numbers as {cast.dtype}; check the picture's scaling.")
        if cast.dtype.kind != "f" and not np.array_equal(cast, array):
            remedy = "leave the scaling to the model: mean 0, std 1, scale 1"
            raise InputError(self.name, f"takes {cast.dtype}, and these numbers do not fit it; {remedy}.")
        return np.ascontiguousarray(cast)
