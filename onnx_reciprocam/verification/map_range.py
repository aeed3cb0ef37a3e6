"""What can be said of maps that have no naive explanation to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Contract

NAIVE = "reciprocam"
"""The method whose maps have a naive definition: run the tail on every masked copy."""


def check_range(name: str, saliency: NDArray[Any] | None, contract: Contract, maps: Sequence[int]) -> Check:
    """Shape, finite numbers, and [0, 1] where maps are normalised.

    Args:
        name: Of the check.
        saliency: What the file returned, or None.
        contract: What it says of itself.
        maps: Images and maps of each, ``(B, K)``.
    """
    if saliency is None or saliency.dtype != np.float32 or saliency.shape[:2] != tuple(maps) or saliency.ndim != 4:
        return Check(name, False, f"saliency is {seen(saliency)}, wanted float32 {(*maps, 'H', 'W')}")
    if contract.upsample == "none" and any(
        side not in {None, got} for side, got in zip(contract.grid, saliency.shape[2:], strict=True)
    ):
        return Check(name, False, f"saliency is {seen(saliency)}, wanted a grid of {contract.grid}")
    if not np.isfinite(saliency).all():
        return Check(name, False, "some cells are NaN or infinite")
    if contract.normalize == "minmax" and not ((saliency >= 0) & (saliency <= 1)).all():
        return Check(name, False, "some cells are outside [0, 1]")
    flat = int((np.ptp(saliency, (2, 3)) == 0).sum())
    words = f"{saliency.shape[0] * saliency.shape[1]} maps, {flat} of them flat; values not compared: "
    return Check(name, True, f"{words}{contract.method} has no naive explanation, only reciprocam has")


def seen(saliency: NDArray[Any] | None) -> str:
    """Type and shape in words."""
    return "absent" if saliency is None else f"{saliency.dtype} {saliency.shape}"
