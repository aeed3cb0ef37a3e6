"""GradCAM: channels weighted by their mean gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import weighted_sum

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene


class GradCAM(InGraph):
    """The classic; at a pool and a linear layer, CAM with its negative cells cut off."""

    name = "gradcam"
    title = "Grad-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = mean over cells of g_k"
    paper = "Selvaraju et al., ICCV 2017, arXiv:1610.02391"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3, equations 1 and 2."""
        weights = scene.branch.reduce("ReduceMean", scene.gradients, [3], keepdims=False)
        return scene.branch.op("Relu", weighted_sum(scene.branch, weights, scene.features))
