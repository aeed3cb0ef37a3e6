"""The mean over channels: no method, a yardstick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene


class Activation(InGraph):
    """Where the network looks at all, whatever the class: what every method should beat."""

    name = "activation"
    title = "Mean activation"
    formula = "mean over channels of A"
    paper = "none; Zagoruyko & Komodakis, ICLR 2017, arXiv:1612.03928, use the like to transfer attention"
    needs = (Needs.CELLS,)
    for_class = False
    scored = False

    def maps(self, scene: Scene) -> gs.Tensor:
        """One map for all classes."""
        return scene.branch.reduce("ReduceMean", scene.features, [1], keepdims=True)
