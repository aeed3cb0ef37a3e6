"""Do the maps of a rewritten file equal the naive explanation?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.verification.finish import minmax, upsample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Contract
    from onnx_reciprocam.verification.naive import NaiveMaps

SPREAD_SHARE = 1e-4
SCORE_SHARE = 1e-5
"""Exact: ``abs(explained - naive) <= SPREAD_SHARE * spread + SCORE_SHARE * max(abs(score))``, before normalisation."""


@dataclass(frozen=True)
class Comparison:
    """How far the maps of one batch are from the naive ones.

    Args:
        worst: Largest error as a share of its tolerance; NaN when every map was too flat to be compared.
        maps: Maps looked at, ``B * K``.
        flat: Of these, how many have a naive spread below their tolerance.
        detail: In words.
    """

    worst: float
    maps: int
    flat: int
    detail: str

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing was out of tolerance."""
        return self.worst <= 1


def can_sample(contract: Contract) -> bool:
    """Whether single cells can be compared: a normalised or enlarged map needs all of them."""
    return contract.normalize == "none" and contract.upsample == "none"


@np.errstate(invalid="ignore", over="ignore")  # infinite scores end as an infinite error
def compare_maps(saliency: NDArray[Any], naive: NaiveMaps, contract: Contract, size: tuple[int, int]) -> Comparison:
    """Compare each value of each map.

    A tolerance is made per image: the spread is the mean over its maps, the score the largest of any class under any
    mask. For half-precision targets the shares are at least four units of that type's last place. Under ``minmax`` the
    tolerance is divided by the map's own spread, as the map was; a map whose spread is below its tolerance is flat, and
    there only [0, 1] is asked for.

    Args:
        saliency: ``[B, K, H, W]`` of the file.
        naive: The naive scores.
        contract: How the file finishes its maps.
        size: The input's height and width, which ``upsample`` goes to.
    """
    got = saliency.reshape(*saliency.shape[:2], -1).astype(np.float64)
    wanted = naive.scores
    if contract.upsample == "input":
        wanted = upsample(wanted.reshape(*wanted.shape[:2], *naive.grid), size).reshape(*wanted.shape[:2], -1)
    elif can_sample(contract):
        got = got[..., naive.cells]
    spread = np.ptp(wanted, axis=-1)
    tolerance = np.broadcast_to(_tolerance(spread, naive)[:, None], spread.shape)
    flat = spread <= tolerance
    if contract.normalize == "none":
        ratio = _ratio(np.abs(got - wanted), tolerance)
        return _summary(ratio, flat, naive)
    errors = np.abs(got - minmax(wanted))
    errors[flat] = np.where((got[flat] >= 0) & (got[flat] <= 1), 0.0, np.inf)
    ratio = _ratio(errors, tolerance / np.where(spread > 0, spread, 1))
    return _summary(ratio, flat, naive, compared=not flat.all())


def _tolerance(spread: NDArray[np.float64], naive: NaiveMaps) -> NDArray[np.float64]:
    """``[B]``, in units of the score."""
    of_spread, of_score = (max(share, 4 * naive.epsilon) for share in (SPREAD_SHARE, SCORE_SHARE))
    tolerance: NDArray[np.float64] = of_spread * spread.mean(axis=1) + of_score * naive.peak
    return tolerance


def _ratio(errors: NDArray[np.float64], tolerance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors as shares of their tolerance; infinite where either is no number, or an error has no tolerance."""
    allowed = np.where(tolerance > 0, tolerance, 1)[..., None]
    ratio = np.where((tolerance[..., None] > 0) | (errors == 0), errors / allowed, np.inf)
    return np.where(np.isfinite(ratio), ratio, np.inf)


def _summary(
    ratio: NDArray[np.float64], flat: NDArray[np.bool_], naive: NaiveMaps, *, compared: bool = True
) -> Comparison:
    worst, total = float(ratio.max()), naive.grid[0] * naive.grid[1]
    image, rank, value = (int(index) for index in np.unravel_index(ratio.argmax(), ratio.shape))
    words = [f"{flat.size} maps, {len(naive.cells)} of {total} cells", f"worst error {worst:.2g} of its tolerance"]
    if worst > 1:
        words.append(f"at image {image}, map {rank}, value {value}")
    if flat.any():
        words.append(f"{int(flat.sum())} too flat to compare")
    if naive.epsilon:
        words.append(f"half precision: tolerance {4 * naive.epsilon:g} instead of {SPREAD_SHARE:g} and {SCORE_SHARE:g}")
    if not compared and worst <= 1:
        words.append("so nothing was compared: try other images")
        worst = float("nan")
    return Comparison(worst, flat.size, int(flat.sum()), "; ".join(words))
