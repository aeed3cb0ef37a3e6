"""AblationCAM: channels weighted by what the score loses without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.graph import Branch
from onnx_reciprocam.graph.replay import replay
from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.weighted import weighted_sum

if TYPE_CHECKING:
    from onnx_reciprocam.methods.scene import Scene

EPSILON = 1e-7
"""Added to a divisor that can be zero."""


class AblationCAM(InGraph):
    """GradCAM without gradients.

    The tail runs once per channel inside a ``Scan``, so that memory is that of one tail; time is that of C tails.
    """

    name = "ablationcam"
    title = "Ablation-CAM"
    formula = "ReLU(sum_k w_k A_k), w_k = (y - y without channel k) / y"
    paper = "Desai & Ramaswamy, WACV 2020, doi:10.1109/WACV45572.2020.9093360"
    needs = (Needs.CELLS,)
    inferences = "1 and a tail per channel"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3, equations 5 and 6."""
        branch = scene.branch
        whole = scene.chosen(branch, scene.logits, scene.options.score)  # [B, K]
        without = self._scores_without(scene)  # [C, B, K]
        lost = branch.op("Sub", branch.unsqueeze(whole, [0]), without)
        positive = branch.op("Add", branch.unsqueeze(whole, [0]), branch.constant(EPSILON, np.float32))
        weights = branch.transpose(branch.op("Div", lost, positive), [1, 2, 0])
        return branch.op("Relu", weighted_sum(branch, weights, scene.features))

    def _scores_without(self, scene: Scene) -> gs.Tensor:
        """``[C, B, K]``: the scores with one channel after the other zeroed at all cells."""
        labels = scene.layout.split()
        axis = labels.index("c")
        channels = scene.walk.seen(scene.target)[axis]
        every = scene.branch.constant(np.arange(channels), hint="channels")
        scene.charge("per channel", channels)
        inner = Branch(scene.model, f"{scene.branch.namespace}ablated")
        one = inner.input(gs.Variable(inner.name("channel"), np.int64, []))
        along = inner.reshape(every, [channels if i == axis else 1 for i in range(len(labels))])
        kept = inner.cast(inner.op("Not", inner.equal(along, one)), scene.dtype(scene.target))
        zeroed = inner.op("Mul", scene.target, kept)
        tail = replay(inner, scene.model, {scene.target.name: zeroed}, scene.logits.name)
        scores = scene.chosen(inner, tail[scene.logits.name], scene.options.score)
        result = gs.Variable(inner.name("scores"), np.float32, [None, None])
        inner.nodes.append(gs.Node("Identity", inner.name("result"), {}, [scores], [result]))
        inner.prune([result])
        body = gs.Graph(inner.nodes, [one], [result], name=inner.name("per_channel"), opset=inner.opset)
        return scene.branch.op("Scan", every, body=body, num_scan_inputs=1)
