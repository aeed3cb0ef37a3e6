"""CAM: the weights of the linear layer behind a mean over cells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Score
from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.reciprocam import ReciproCAM
from onnx_reciprocam.refusals import LinearHeadError

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene

MEANS = frozenset({"GlobalAveragePool", "ReduceMean", "AveragePool"})
LINEAR = MEANS | {
    "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout", "Cast",
    "Gemm", "MatMul", "Conv", "Add", "Sub", "Mul", "Concat",
}  # fmt: skip
"""What is linear, up to a constant, in what comes from the target, as long as only one of its inputs does."""


class CAM(InGraph):
    """The first of them all, for networks that end in a mean over cells and a linear layer.

    There ReciproCAM's score of cell n is ``y_n = b_c + CAM_c(n) / N``, so CAM is read off it: the same map, in the units
    of Zhou et al. From ``sum_n (y_n - b_c) = y - b_c`` follows the bias.
    """

    name = "cam"
    title = "CAM"
    formula = "sum_k w_ck A_k, w the weights of the linear layer behind the mean over cells"
    paper = "Zhou et al., CVPR 2016, arXiv:1512.04150"
    needs = (Needs.CELLS, Needs.LINEAR_HEAD)
    scored = False

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 2."""
        _check(scene)
        branch, count = scene.branch, scene.walk.stacker.count
        scores = ReciproCAM().maps(replace(scene, options=replace(scene.options, score=Score.LOGIT)))
        whole = branch.unsqueeze(scene.chosen(branch, scene.logits, Score.LOGIT), [2])
        cells = branch.cast(count if not isinstance(count, int) else branch.constant([count]), np.float32)
        summed = branch.reduce("ReduceSum", scores, [2], keepdims=True)
        fewer = branch.op("Sub", cells, branch.constant(1, np.float32))
        bias = branch.op("Div", branch.op("Sub", summed, whole), fewer)
        return branch.op("Mul", branch.op("Sub", scores, bias), cells)


def _check(scene: Scene) -> None:
    tail = scene.tail
    nodes, behind = tail.nodes, {tail.source.name, *(name for node in tail.nodes for name in node.output)}
    for node in nodes:
        several = sum(name in behind for name in node.input) > 1
        if node.op_type not in LINEAR or several:
            raise LinearHeadError(f"{node.op_type} {(node.name or node.output[0])!r} lies behind the target")
    seen = {name: int(np.prod(scene.shapes.seen[name])) for name in behind if name in scene.shapes.seen}
    if not any(
        node.op_type in MEANS and seen[node.output[0]] * scene.walk.copies <= seen[node.input[0]] for node in nodes
    ):
        raise LinearHeadError("no mean over all cells lies behind the target")
