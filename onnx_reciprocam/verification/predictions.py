"""Do both files predict the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDING = 1e-5
"""Allowed where an extra reader keeps the runtime from fusing nodes, as a share of the output's largest value."""


def check_predictions(
    name: str, got: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str], *, rounding: bool
) -> Check:
    """Compare outputs of the two files on the same inputs.

    Args:
        name: What the check is called.
        got: Outputs by name, of the rewritten file.
        wanted: Likewise, of the original.
        names: The original's outputs.
        rounding: Whether a difference up to :data:`ROUNDING` (four units of a half-precision output's last place) passes.
    """
    gaps = {output: _difference(got.get(output), wanted[output]) for output in names}
    different = {output: gap for output, gap in gaps.items() if gap is not None}
    if not different:
        return Check(name, True, "bit-identical")
    output, gap = max(different.items(), key=lambda item: item[1])
    allowed = max(ROUNDING, 4 * _epsilon(wanted[output])) if rounding else 0.0
    passed = rounding and all(gap < max(ROUNDING, 4 * _epsilon(wanted[key])) for key, gap in different.items())
    verdict = "rounding" if passed else f"more than {allowed:g} allowed"
    return Check(name, passed, f"{output!r} differs by {gap:.1e} of its largest value: {verdict}")


def _difference(got: Any, wanted: Any) -> float | None:
    """None where bit-identical, else the largest difference as a share of the largest finite value."""
    if not (isinstance(got, np.ndarray) and isinstance(wanted, np.ndarray)):
        same = not isinstance(got, np.ndarray) and not isinstance(wanted, np.ndarray) and got == wanted
        return None if same else float("inf")
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        return float("inf")
    if got.dtype.kind != "f":
        return None if np.array_equal(got, wanted) else float("inf")
    if got.tobytes() == wanted.tobytes():
        return None
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True):
        return float("inf")
    exact, other = wanted[finite].astype(np.float64), got[finite].astype(np.float64)
    gap, scale = np.abs(other - exact).max(initial=0.0), np.abs(exact).max(initial=0.0)
    return float(gap / scale) if scale else float(gap and np.inf)


def _epsilon(array: Any) -> float:
    """The unit in the last place of a half-precision array; 0 for others."""
    return float(np.finfo(np.float16).eps) if getattr(array, "dtype", None) == np.float16 else 0.0
