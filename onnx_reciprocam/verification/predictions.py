"""Do both files predict the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDING = 1e-5
"""Allowed where an extra reader keeps the runtime from fusing nodes, as a share of the output's largest value."""
HALF_ROUNDING = 4 * float(np.finfo(np.float16).eps)
"""Likewise in a network that computes in float16: four units of its last place."""


def check_predictions(
    name: str, got: Mapping[str, Any], wanted: Mapping[str, Any], names: Sequence[str], *, rounding: float = 0.0
) -> Check:
    """Compare outputs of the two files on the same inputs.

    Args:
        name: What the check is called.
        got: Outputs by name, of the rewritten file.
        wanted: Likewise, of the original.
        names: The original's outputs.
        rounding: Up to which difference passes, as a share of the output's largest value; nothing but the same bits if zero.
    """
    gaps = {output: _difference(got.get(output), wanted[output]) for output in names}
    different = {output: gap for output, gap in gaps.items() if gap is not None}
    if not different:
        return Check(name, True, "bit-identical")
    output, gap = max(different.items(), key=lambda item: item[1])
    passed = gap < rounding
    verdict = "rounding" if passed else f"more than {rounding:g} allowed"
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
