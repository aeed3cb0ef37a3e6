"""Occlusion: what the score loses as a patch moves over the image."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.lots import scored
from onnx_reciprocam.methods.method import Needs

if TYPE_CHECKING:
    from onnx_reciprocam.methods.black_box import Images, Problem

PARTS = 7
"""How many patches side by side make the shorter side of an image."""


class Occlusion(BlackBox):
    """``S(u) = mean over the patches P around u of y_c(x) - y_c(x with P hidden)``.

    Patches are squares of a seventh of the shorter side, in pixels rounded; they move by half of that, rounded down, and
    a last one stands at the far border, so that every pixel is hidden at least once. All classes share the inferences.
    """

    name = "occlusion"
    title = "Occlusion"
    formula = "mean over the patches around a pixel of y_c(x) - y_c(x without the patch)"
    paper = "Zeiler & Fergus, ECCV 2014, arXiv:1311.2901"
    needs = (Needs.BLACK_BOX,)
    inferences = "about 170 of a square image"

    def explain(self, problem: Problem) -> Maps:
        """Section 4.2; the image itself is the first of those scored."""
        height, width = problem.image.shape[1:]
        side = max(1, round(min(height, width) / PARTS))
        patches = [
            (..., slice(top, top + side), slice(left, left + side))
            for top, left in product(_starts(height, side), _starts(width, side))
        ]

        def hidden(part: slice) -> Images:
            images = np.repeat(problem.image[None], part.stop - part.start, axis=0)
            for image, index in zip(images, range(part.start, part.stop), strict=True):
                if index > 0:
                    image[patches[index - 1]] = problem.baseline[:, None, None]
            return images

        scores = np.concatenate([scores for _, scores in scored(problem, 1 + len(patches), hidden)])
        lost, over = np.zeros((scores.shape[1], height, width)), np.zeros((height, width))
        for patch, score in zip(patches, scores[1:], strict=True):
            lost[patch] += (scores[0] - score)[:, None, None]
            over[patch] += 1
        return Maps((lost / over).astype(np.float32))


def _starts(length: int, side: int) -> list[int]:
    """Where patches begin along one axis."""
    last = length - side
    return [*range(0, last, max(1, side // 2)), last]
