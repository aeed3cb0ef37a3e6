"""ADCC: drop, coherency and complexity in one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.errors import ShapeMismatchError
from onnx_reciprocam.metrics.arrays import shares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def adcc(drops: ArrayLike, coherencies: ArrayLike, complexities: ArrayLike) -> float:
    """Harmonic mean of coherency, ``1 - complexity`` and ``1 - drop``, each averaged over the data set *first*.

    ADCC per image, averaged afterwards, would never be higher, and is not what the literature prints. If one of the
    three means is 0, so is ADCC.

    Args:
        drops: Per-image values, ``[B]``, or the data set's mean; shares, not percent.
        coherencies: Likewise.
        complexities: Likewise.

    Returns:
        A figure of the whole data set in [0, 1]; higher is better.

    Raises:
        ShapeMismatchError: The three do not count the same images.
        InputError: NaN, or outside [0, 1].

    Source:
        Poppi et al., arXiv:2104.10252, section 3 (average DCC).
    """
    dropped, coherent, complicated = (
        shares(name, values)
        for name, values in (("drops", drops), ("coherencies", coherencies), ("complexities", complexities))
    )
    if dropped.ndim > 1 or not dropped.size:
        raise ShapeMismatchError("drops", dropped.shape, ("B",))
    for name, values in (("coherencies", coherent), ("complexities", complicated)):
        if values.shape != dropped.shape:
            raise ShapeMismatchError(name, values.shape, dropped.shape)
    terms = [float(coherent.mean()), float(1 - complicated.mean()), float(1 - dropped.mean())]
    least = min(terms)  # taken out first, so that no inverse overflows
    return len(terms) * least / sum(least / term for term in terms) if least > 0 else 0.0
