"""RISE: the mean of random masks, each weighted by the score of what it lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.lots import resized, scored
from onnx_reciprocam.methods.method import Needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Images, Problem

CELLS = 7
"""s: cells of a mask along either side."""
KEPT = 0.5
"""p: the chance that a cell lets the image through."""


class RISE(BlackBox):
    """Monte Carlo: ``S = sum_i y_c(x m_i) m_i / (N p)``.

    A mask is a grid of 7 x 7 ones and zeros, upsampled bilinearly to 8 cells of pixels and cropped to the image at a
    random place within the first cell. All classes share the inferences. Masks are drawn one after the other, so a
    seed means the same masks whatever is run at once.
    """

    name = "rise"
    title = "RISE"
    formula = "sum_i y_c(x * m_i) m_i / (N p), m_i random masks"
    paper = "Petsiuk, Das & Saenko, BMVC 2018, arXiv:1806.07421"
    needs = (Needs.BLACK_BOX,)
    inferences = "4000"
    samples = 4000
    drawn = True

    def explain(self, problem: Problem) -> Maps:
        """Section 3, equation 6; :attr:`Maps.error` from how far the maps of every other mask are from the rest's."""
        size = problem.image.shape[1:]
        generator = np.random.default_rng(problem.seed)
        halves = np.zeros((2, len(problem.classes), size[0] * size[1]))  # sums over even and over odd masks
        masks = np.empty(0, np.float32)

        def masked(part: slice) -> Images:
            nonlocal masks
            masks = np.stack([_mask(generator, *size) for _ in range(part.start, part.stop)])
            return problem.image * masks[:, None]

        for _, scores in scored(problem, self.count, masked):  # lots are even, so that halves are told by place
            flat = masks.reshape(len(masks), -1).astype(np.float64) / KEPT
            for half in (0, 1):
                halves[half] += scores[half::2].T @ flat[half::2]
        mean = halves.sum(0) / self.count
        counts = (self.count + 1) // 2, self.count // 2
        return Maps(mean.reshape(-1, *size).astype(np.float32), _error(mean, halves, counts))


def _mask(generator: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    cell = -(-height // CELLS), -(-width // CELLS)  # rounded up
    grid = (generator.random((CELLS, CELLS)) < KEPT).astype(np.float32)
    down, right = generator.integers(cell)
    whole = resized(grid, (CELLS + 1) * cell[0], (CELLS + 1) * cell[1])
    return whole[down : down + height, right : right + width]


def _error(mean: NDArray[np.float64], halves: NDArray[np.float64], counts: tuple[int, int]) -> float | None:
    """Half the difference of the halves' maps is as far from 0 as their mean is from the truth.

    Both are compared by their spread over pixels, since what shifts a whole map does not show. The truth's spread is the
    map's own without that of the error. None of one sample or of flat maps.
    """
    if min(counts) < 1:
        return None
    noise = float((halves[0] / counts[0] - halves[1] / counts[1]).var(axis=1).mean()) / 4
    spread = float(mean.var(axis=1).mean())
    if not spread > 0:
        return None
    return float(np.sqrt(noise / (spread - noise))) if spread > noise else float("inf")
