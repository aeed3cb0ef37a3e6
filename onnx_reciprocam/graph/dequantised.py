"""Weights that a file stores in a smaller type, as the numbers that its operators read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

STORED = frozenset({"Identity", "Cast", "DequantizeLinear"})
"""Operators behind which a constant is a constant still."""
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def stored(node: gs.Node, constant: Callable[[gs.Tensor], NDArray[np.generic] | None]) -> NDArray[np.generic] | None:
    """What one of :data:`STORED` makes of constants; None if something changes them, or a Cast rounds them.

    Args:
        node: The operator.
        constant: The value of a tensor, if it has one.
    """
    values, *others = (constant(tensor) for tensor in node.inputs if tensor.name)
    if values is None or any(other is None for other in others):
        return None
    if node.op == "Cast":
        return _widened(values, node.attrs["to"])
    if node.op == "Identity":
        return values
    scale, zero = others[0], others[1] if len(others) > 1 else None
    axis, block = node.attrs.get("axis", 1), node.attrs.get("block_size", 0)
    return None if scale is None else dequantised(values, scale, zero, axis, block)


def _widened(values: NDArray[np.generic], to: int) -> NDArray[np.generic] | None:
    """Floats in a type that holds them exactly."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(to)
    fits = {values.dtype.name, kind.name} <= FLOATS and kind.itemsize > values.dtype.itemsize
    return values.astype(kind) if fits else None


def dequantised(
    values: NDArray[np.generic], scale: NDArray[np.generic], zero: NDArray[np.generic] | None, axis: int, block: int
) -> NDArray[np.generic]:
    """``(values - zero) * scale`` in the scale's type.

    Args:
        values: Whole numbers of any shape.
        scale: One, one per slice of ``axis``, or one per ``block`` of slices of it.
        zero: As many zero points; None for 0.
        axis: Of ``values``.
        block: 0 where a scale serves no block.
    """

    def spread(numbers: NDArray[np.generic]) -> NDArray[np.generic]:
        if block:
            return np.repeat(numbers, block, axis=axis).take(range(values.shape[axis]), axis=axis)
        if numbers.size == 1:
            return numbers.reshape(())
        return numbers.reshape([-1 if i == axis % values.ndim else 1 for i in range(values.ndim)])

    whole = values.astype(np.int64)
    if zero is not None:
        whole = whole - np.asarray(spread(zero), np.int64)
    product: NDArray[np.generic] = whole.astype(np.float32) * spread(scale).astype(np.float32)
    return product.astype(scale.dtype)
