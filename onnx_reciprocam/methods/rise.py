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
        """Section 3, equation 6; :attr:`Maps.error` from the variance of a pixel's ``y_c m / p``."""
        size = problem.image.shape[1:]
        generator = np.random.default_rng(problem.seed)
        pixels = np.zeros((len(problem.classes), size[0] * size[1]))
        squares = np.zeros_like(pixels)
        masks = np.empty(0, np.float32)

        def masked(part: slice) -> Images:
            nonlocal masks
            masks = np.stack([_mask(generator, *size) for _ in range(part.start, part.stop)])
            return problem.image * masks[:, None]

        for _, scores in scored(problem, self.count, masked):
            flat = masks.reshape(len(masks), -1).astype(np.float64) / KEPT
            pixels += scores.T @ flat
            squares += (scores**2).T @ flat**2
        mean = pixels / self.count
        variance = np.maximum(squares / self.count - mean**2, 0)
        return Maps(mean.reshape(-1, *size).astype(np.float32), _error(mean, variance, self.count))


def _mask(generator: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    cell = -(-height // CELLS), -(-width // CELLS)  # rounded up
    grid = (generator.random((CELLS, CELLS)) < KEPT).astype(np.float32)
    down, right = generator.integers(cell)
    whole = resized(grid, (CELLS + 1) * cell[0], (CELLS + 1) * cell[1])
    return whole[down : down + height, right : right + width]


def _error(mean: NDArray[np.float64], variance: NDArray[np.float64], count: int) -> float | None:
    """The mean standard error of a pixel over the mean spread of a map; None of one sample or of flat maps."""
    spread = float(mean.std(axis=1).mean())
    return float(np.sqrt(variance / (count - 1)).mean()) / spread if count > 1 and spread > 0 else None
