"""SmoothGradCAM++: GradCAM++ of derivatives averaged over noisy images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.gradients import Backward
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.graph.replay import replay
from onnx_reciprocam.methods.cells import cells_last
from onnx_reciprocam.methods.gradcam_plus_plus import explained
from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from onnx_reciprocam.methods.scene import Scene

SAMPLES, DEVIATION, SEED = 4, 0.3, 0
"""Noisy images, and the standard deviation of their noise in units of the network's input: torch-cam's defaults."""


class SmoothGradCAMPlusPlus(InGraph):
    """Less speckled than GradCAM++.

    The whole network and the backward pass of its tail run once per noisy image inside a ``Scan``. The noise is drawn when
    the file is written and stored in half precision, so that the same image always gets the same map.
    """

    name = "smoothgradcam++"
    title = "Smooth Grad-CAM++"
    formula = "Grad-CAM++ with g, g^2 and g^3 averaged over 4 images with noise of deviation 0.3"
    paper = "Omeiza et al., 2019, arXiv:1908.01224"
    needs = (Needs.CELLS, Needs.GRADIENTS)
    inferences = "1, and 4 with a backward pass of the tail"

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3.2; A is that of the image itself."""
        branch = scene.branch
        every = self._derivatives(scene)  # [S, B, K, C, N]
        squares = branch.op("Mul", every, every)
        cubes = branch.op("Mul", squares, every)
        first, second, third = (
            branch.reduce("ReduceMean", power, [0], keepdims=False) for power in (every, squares, cubes)
        )
        return explained(branch, first, second, third, scene.features)

    def _derivatives(self, scene: Scene) -> gs.Tensor:
        """What g is for every noisy image."""
        image = scene.model.tensors[scene.images[0]]
        if np.dtype(image.dtype).kind != "f":
            raise GradientError(f"{image.name!r} takes whole numbers, to which no noise can be added")
        shape = [size if size is not None else 1 for size in scene.shapes.static(image.name)]
        drawn = np.random.default_rng(SEED).standard_normal((SAMPLES, 1, *shape[1:])) * DEVIATION
        noise = scene.branch.constant(drawn, np.float16, hint="noise")
        scene.charge("noisy", SAMPLES, whole=True)
        scene.charge("Gradient", SAMPLES * (scene.options.classes.count or scene.classes))
        inner = Branch(scene.model, f"{scene.branch.namespace}noisy")
        one = inner.input(gs.Variable(inner.name("noise"), np.float16, [1, *shape[1:]]))
        noisy = inner.op("Add", image, inner.cast(one, image.dtype))
        run = replay(inner, scene.model, {image.name: noisy}, scene.logits.name)
        seeds = scene.directions(inner, run[scene.logits.name])
        found = Backward(scene.stretch).emit(inner, seeds, scene.batch, run, once=scene.branch)
        static = scene.shapes.static(scene.target.name)
        derivative = cells_last(inner, found, scene.layout, static, directions=True)
        result = gs.Variable(inner.name("derivative"), np.float32, [None] * 4)
        inner.nodes.append(gs.Node("Identity", inner.name("result"), {}, [derivative], [result]))
        inner.prune([result])
        body = gs.Graph(inner.nodes, [one], [result], name=inner.name("per_image"), opset=inner.opset)
        return scene.branch.op("Scan", noise, body=body, num_scan_inputs=1)
