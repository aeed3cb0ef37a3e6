"""EigenCAM: the principal component of the activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch
    from onnx_reciprocam.methods.scene import Scene

SQUARINGS = 12
"""The Gram matrix is raised to the power 2^12: a second eigenvalue 0.5% smaller than the first is down to e^-20."""


class EigenCAM(InGraph):
    """What varies most among the cells, whatever the class.

    A principal component has no sign of its own. Here it points where activations are larger on average, so that the
    object is bright; pytorch-grad-cam takes whatever sign its decomposition ends with.
    """

    name = "eigencam"
    title = "EigenCAM"
    formula = (
        "A'v, v the first right singular vector of A' = A minus its mean over cells; sign towards the mean activation"
    )
    paper = "Muhammad & Yeasin, IJCNN 2020, arXiv:2008.00299"
    needs = (Needs.CELLS,)
    for_class = False
    scored = False

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section III, by power iteration on the smaller of the two Gram matrices."""
        branch = scene.branch
        mean = branch.reduce("ReduceMean", scene.features, [2], keepdims=True)
        centred = branch.op("Sub", scene.features, mean)  # [B, C, N]
        turned = branch.transpose(centred, [0, 2, 1])
        channels, cells = centred_sizes(scene)
        if cells <= channels:
            raised = _raised(branch, branch.op("MatMul", turned, centred))
            # a column of the raised matrix is the eigenvector; their sum weighted by the mean activation has its sign
            around = branch.reduce("ReduceMean", centred, [1], keepdims=True)  # [B, 1, N]
            vector = branch.op("MatMul", around, raised)
            return branch.op("Mul", _unit(branch, vector), _length(branch, centred, vector))
        raised = _raised(branch, branch.op("MatMul", centred, turned))
        ones = branch.constant(np.ones((1, 1, channels)), np.float32)
        around = branch.op("MatMul", branch.op("MatMul", ones, centred), turned)  # [B, 1, C]
        return branch.op("MatMul", _unit(branch, branch.op("MatMul", around, raised)), centred)


def centred_sizes(scene: Scene) -> tuple[int, int]:
    """Channels and cells, as probed."""
    channels = scene.walk.seen(scene.target)[scene.layout.split().index("c")]
    return channels, scene.walk.copies


def _raised(branch: Branch, gram: gs.Tensor) -> gs.Tensor:
    """``gram`` to the power ``2^SQUARINGS``, up to a factor."""
    for _ in range(SQUARINGS):
        gram = branch.op("MatMul", *[_scaled(branch, gram)] * 2)
    return _scaled(branch, gram)


def _scaled(branch: Branch, matrix: gs.Tensor) -> gs.Tensor:
    """Divided by its largest entry, or left alone where all are zero."""
    return _divided(branch, matrix, branch.reduce("ReduceMax", branch.op("Abs", matrix), [1, 2], keepdims=True))


def _unit(branch: Branch, vector: gs.Tensor) -> gs.Tensor:
    """``[B, 1, n]`` of length 1, or zeros."""
    scaled = _scaled(branch, vector)
    squares = branch.reduce("ReduceSum", branch.op("Mul", scaled, scaled), [2], keepdims=True)
    return _divided(branch, scaled, branch.op("Sqrt", squares))


def _length(branch: Branch, centred: gs.Tensor, vector: gs.Tensor) -> gs.Tensor:
    """The first singular value, ``[B, 1, 1]``: the length of ``A'u`` for the left vector u."""
    image = branch.op("MatMul", centred, branch.transpose(_unit(branch, vector), [0, 2, 1]))
    return branch.op("Sqrt", branch.reduce("ReduceSum", branch.op("Mul", image, image), [1, 2], keepdims=True))


def _divided(branch: Branch, values: gs.Tensor, divisor: gs.Tensor) -> gs.Tensor:
    positive = branch.op("Greater", divisor, branch.constant(0, np.float32))
    return branch.op("Div", values, branch.where(positive, divisor, branch.constant(1, np.float32)))
