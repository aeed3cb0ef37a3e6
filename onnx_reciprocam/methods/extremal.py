"""Extremal perturbations: the smooth mask of a given area that keeps most of the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Score
from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.extremal_masks import Pyramid, SmoothMasks
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import GradientFn, Problem

AREA = 0.12
"""Share of the mask, margins included, that is kept: that of the authors' example; the paper sums over several."""
RATE, MOMENTUM = 0.01, 0.9
AREA_WEIGHT, AREA_GROWTH = 300.0, 1.0035
"""How much the area counts beside the score, and by what it grows per step."""
STEP, BLUR, SIDE = 7, 20.0, 224
"""Pixels between parameters, sigma of the blur, and the shorter side of the images that both are meant for."""


class Extremal(BlackBox):
    """Gradient ascent on ``y_c(x kept by M) - a |sort(M) - template|^2``; the map is M.

    M is a smooth mask in [0, 1]; where it is below 1 the image is blurred. The template is 0 for all but the area's share
    of the mask's values, which are 1; a grows, so that the area is met in the end. Steps and constants are TorchRay's, as
    is the mirror: every other step sees the image from left to right, which is no draw. Pixels count in units of a 224th
    of the shorter side, so that small images have as many parameters as large ones.

    Each class has a search of its own.
    """

    name = "extremal"
    title = "Extremal perturbation"
    formula = "argmax_M y_c(x blurred where M is 0) over smooth masks M of area 0.12"
    paper = "Fong, Patrick & Vedaldi, ICCV 2019, arXiv:1910.08485"
    needs = (Needs.GRADIENTS,)
    inferences = "800 forward and backward"
    score = Score.LOGIT
    samples = 800

    def explain(self, problem: Problem) -> Maps:
        """Section 3; progress counts the steps of all classes.

        Raises:
            GradientError: There are no gradients.
        """
        if problem.gradient is None:
            raise GradientError(f"{self.name} follows the gradient of the score, and there is none")
        height, width = problem.image.shape[1:]
        scale = min(height, width) / SIDE
        search = Search(
            SmoothMasks(height, width, max(1, round(STEP * scale))),
            Pyramid(problem.image, problem.baseline, BLUR * scale),
            problem.gradient,
            len(problem.score(problem.image[None])[0]),
        )
        masks, total = [], self.count * len(problem.classes)
        for index, c in enumerate(problem.classes):
            parameters = np.ones(search.masks.grid, problem.image.dtype)
            velocity = None
            for step in range(self.count):
                mask, slope = search(parameters, int(c), AREA_WEIGHT * AREA_GROWTH**step, mirrored=step % 2 == 0)
                velocity = slope if velocity is None else MOMENTUM * velocity + (1 - MOMENTUM) * slope
                parameters = np.clip(parameters + RATE * velocity, 0, 1).astype(problem.image.dtype)
                problem.progress(index * self.count + step + 1, total)
            masks.append(mask[search.masks.image])
        return Maps(np.stack(masks).astype(np.float32))


@dataclass(frozen=True)
class Search:
    """What is climbed.

    Args:
        masks: From parameters.
        pyramid: From masks to images.
        gradient: From images to their score's gradient.
        classes: Of the network.
    """

    masks: SmoothMasks
    pyramid: Pyramid
    gradient: GradientFn
    classes: int

    def __call__(
        self, parameters: NDArray[np.floating], c: int, area_weight: float, *, mirrored: bool
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """The mask with its margins, and the gradient of what is climbed by the parameters."""
        mask, derivative = self.masks.generate(parameters)
        image, by_mask = self.pyramid.apply(mask[self.masks.image])
        turn = slice(None, None, -1 if mirrored else 1)
        one = np.eye(1, self.classes, c, dtype=np.float32)
        by_image = self.gradient(np.ascontiguousarray(image[None, :, :, turn]), one)[0, :, :, turn]
        slope = -2 * area_weight / mask.size * (mask - template(mask, AREA))
        slope[self.masks.image] += (by_mask * by_image).sum(axis=0)
        return mask, self.masks.pull(derivative, slope)


def template(mask: NDArray[np.floating], area: float) -> NDArray[np.floating]:
    """1 at the largest values of a mask, 0 elsewhere; equals in reading order."""
    wanted = np.zeros_like(mask)
    order = np.argsort(mask, axis=None, kind="stable")
    wanted.flat[order[int(mask.size * (1 - area)) :]] = 1
    return wanted
