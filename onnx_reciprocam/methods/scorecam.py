"""ScoreCAM: channels weighted by the score of what each of them lets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Score
from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.lots import resized, scored
from onnx_reciprocam.methods.method import Needs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Images, Problem


class ScoreCAM(BlackBox):
    """Each channel, on the pixels and scaled to [0, 1], masks the image; its score is the channel's weight.

    ``m_k = s(up(A_k))``, ``w = softmax over k of y_c(x m_k)``. The paper subtracts the score of an empty image first;
    that is the same for every k, so softmax cancels it. The sum and its ReLU are taken on the target's grid, then
    upsampled, as pytorch-grad-cam does it; the paper's order differs by what bilinear weights make of the ReLU.

    All classes share the inferences. A channel that is the same everywhere masks everything.
    """

    name = "scorecam"
    title = "Score-CAM"
    formula = "ReLU(sum_k w_k A_k), w = softmax_k y_c(x * A_k scaled to [0, 1] on the pixels)"
    paper = "Wang et al., CVPR Workshops 2020, arXiv:1910.01279"
    needs = (Needs.CELLS,)
    inferences = "channels of the target"
    score = Score.LOGIT

    def explain(self, problem: Problem) -> Maps:
        """Algorithm 1.

        Raises:
            UnsupportedModelError: There is no target.
        """
        if problem.features is None:
            raise UnsupportedModelError(
                f"{self.name} weights the channels of a target, and the model has none",
                "Choose a method that needs scores alone: onnx-reciprocam methods",
            )
        features = problem.features(problem.image)  # [channels, h, w]
        height, width = problem.image.shape[1:]

        def masked(part: slice) -> Images:
            masks = np.stack([_scaled(resized(channel, height, width)) for channel in features[part]])
            return np.asarray(problem.image * masks[:, None])

        scores = np.concatenate([scores for _, scores in scored(problem, len(features), masked)])  # [channels, K]
        weights = np.exp(scores - scores.max(axis=0))
        weights /= weights.sum(axis=0)
        grids = np.maximum(np.einsum("ak,ahw->khw", weights, features), 0).astype(np.float32)
        return Maps(np.stack([resized(grid, height, width) for grid in grids]))


def _scaled(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """To [0, 1]; zeros where all is the same."""
    low, high = plane.min(), plane.max()
    return (plane - low) / (high - low) if high > low else np.zeros_like(plane)
