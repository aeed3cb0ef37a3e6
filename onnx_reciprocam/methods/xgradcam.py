"""XGradCAM: channels weighted by their gradient where they are active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import weighted_sum

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene

EPSILON = 1e-7
"""Added to a divisor that can be zero, as pytorch-grad-cam does."""


class XGradCAM(InGraph):
    """GradCAM with the weights that make the map's sum come closest to the score."""

    name = "xgradcam"
    title = "XGrad-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = sum over cells of g_k A_k / sum over cells of A_k"
    paper = "Fu et al., BMVC 2020, arXiv:2008.02312"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3.2, equation 7."""
        branch, features = scene.branch, scene.features
        products = branch.op("Mul", scene.gradients, branch.unsqueeze(features, [1]))  # [B, K, C, N]
        explained = branch.reduce("ReduceSum", products, [3], keepdims=False)
        total = branch.unsqueeze(branch.reduce("ReduceSum", features, [2], keepdims=False), [1])  # [B, 1, C]
        divisor = branch.op("Add", total, branch.constant(EPSILON, np.float32))
        return branch.op("Relu", weighted_sum(branch, branch.op("Div", explained, divisor), features))
