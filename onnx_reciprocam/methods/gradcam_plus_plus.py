"""GradCAM++: gradients weighted by how much each cell alone explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import weighted_sum

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch
    from onnx_reciprocam.methods.scene import Scene

EPSILON = 1e-6
"""Added to the divisor, as pytorch-grad-cam does and the paper does not."""


class GradCAMPlusPlus(InGraph):
    """Several objects of one class each get their share.

    The paper differentiates exp(y), which is g times a number that all cells share, and adds nothing to the divisor. The
    addend is no mere guard: behind a mean over 49 cells g^2 is about as small, and channels with small gradients count less.
    """

    name = "gradcam++"
    title = "Grad-CAM++"
    formula = (
        "ReLU(sum_k w_k A_k), w_k = sum over cells of a_k ReLU(g_k), a_k = g_k^2 / (2 g_k^2 + g_k^3 sum A_k + 1e-6)"
    )
    paper = "Chattopadhyay et al., WACV 2018, arXiv:1710.11063"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3, equations 10 and 19."""
        branch, g = scene.branch, scene.gradients
        squares = branch.op("Mul", g, g)
        return explained(branch, g, squares, branch.op("Mul", squares, g), scene.features)


def explained(branch: Branch, g: gs.Tensor, squares: gs.Tensor, cubes: gs.Tensor, features: gs.Tensor) -> gs.Tensor:
    """The maps ``[B, K, N]`` of first, second and third derivatives ``[B, K, C, N]``."""
    total = branch.unsqueeze(branch.reduce("ReduceSum", features, [2], keepdims=True), [1])
    divisor = branch.op("Add", branch.op("Add", squares, squares), branch.op("Mul", cubes, total))
    share = branch.op("Div", squares, branch.op("Add", divisor, branch.constant(EPSILON, np.float32)))
    weights = branch.reduce("ReduceSum", branch.op("Mul", share, branch.op("Relu", g)), [3], keepdims=False)
    return branch.op("Relu", weighted_sum(branch, weights, features))
