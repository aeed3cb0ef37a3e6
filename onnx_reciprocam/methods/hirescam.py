"""HiResCAM: every cell weighted by its own gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import sum_of_products

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene


class HiResCAM(InGraph):
    """What each cell adds to the score, where the tail is linear from the target on."""

    name = "hirescam"
    title = "HiResCAM"
    formula = "ReLU(sum_k g_k A_k)"
    paper = "Draelos & Carin, 2020, arXiv:2011.08891"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3, with the ReLU of its section on visualisation."""
        branch = scene.branch
        return branch.op("Relu", sum_of_products(branch, scene.gradients, scene.features))
