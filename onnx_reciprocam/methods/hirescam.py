"""HiResCAM: every cell weighted by its own gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import sum_of_products

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene

ROUNDING = 1e-5
"""Sums below this share of their terms' sizes are rounding."""


class HiResCAM(InGraph):
    """What each cell adds to the score, where the tail is linear from the target on.

    Right in front of a norm it says nothing: a LayerNorm does not care how long its input is, so the sum cancels. What
    is left is rounding, and is written as the zero that it stands for, so that no map is made of it.
    """

    name = "hirescam"
    title = "HiResCAM"
    formula = "ReLU(sum_k g_k A_k)"
    paper = "Draelos & Carin, 2020, arXiv:2011.08891"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1 and a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3, with the ReLU of its section on visualisation."""
        branch, features, g = scene.branch, scene.features, scene.gradients
        values = sum_of_products(branch, g, features)
        sizes = sum_of_products(branch, branch.op("Abs", g), branch.op("Abs", features))
        rounding = branch.op("Mul", sizes, branch.constant(ROUNDING, np.float32))
        kept = branch.cast(branch.op("Greater", values, rounding), np.float32)
        return branch.op("Mul", values, kept)
