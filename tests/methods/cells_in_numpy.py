"""A target's cells along one axis, and back, by what the layout says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cells(values: NDArray[Any], layout: str) -> NDArray[Any]:
    """``[B, C, N, ...]`` of what has the layout's axes and perhaps more behind."""
    labels = layout.split()
    for axis, label in enumerate(labels):
        values = values.take(_patches(label, values.shape[axis]), axis=axis)
    places = [axis for axis, label in enumerate(labels) if label not in {"b", "c"}]
    rest = range(len(labels), values.ndim)
    moved = values.transpose(labels.index("b"), labels.index("c"), *places, *rest)
    return moved.reshape(*moved.shape[:2], -1, *(values.shape[axis] for axis in rest))


def everywhere(vectors: NDArray[np.float64], layout: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """``[B, C]`` -> the same vector in every cell of the layout, zeros in other tokens."""
    labels = layout.split()
    turned = vectors if labels.index("b") < labels.index("c") else vectors.T
    thin = turned.reshape([size if label in {"b", "c"} else 1 for label, size in zip(labels, shape, strict=True)])
    for axis, label in enumerate(labels):
        kept = np.zeros(shape[axis])
        kept[_patches(label, shape[axis])] = 1
        thin = thin * kept.reshape([-1 if i == axis else 1 for i in range(len(labels))])
    return np.asarray(thin)


def _patches(label: str, size: int) -> NDArray[np.intp]:
    """Which places along an axis are explained: of ``1+hw`` all but the first."""
    parts = label.split("+")
    before = sum(int(part) for part in parts[: parts.index("hw")]) if "hw" in parts else 0
    behind = sum(int(part) for part in parts[parts.index("hw") + 1 :]) if "hw" in parts else 0
    return np.arange(before, size - behind)
