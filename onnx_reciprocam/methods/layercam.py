"""LayerCAM: every cell weighted by its own positive gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import sum_of_products

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene


class LayerCAM(InGraph):
    """Fine detail at targets in the middle of a network."""

    name = "layercam"
    title = "LayerCAM"
    formula = "ReLU(sum_k ReLU(g_k) A_k)"
    paper = "Jiang et al., IEEE TIP 2021, doi:10.1109/TIP.2021.3089943"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section III, equations 5 to 7."""
        branch = scene.branch
        return branch.op("Relu", sum_of_products(branch, branch.op("Relu", scene.gradients), scene.features))
