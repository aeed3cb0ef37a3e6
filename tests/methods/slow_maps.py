"""Explanation methods the slow way: from the papers' words, one cell at a time, derivatives by finite differences.

The plain file is cut at the target by hand, its numbers become doubles, and onnx's own reference runs both parts.
Nothing is shared with what it judges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

if TYPE_CHECKING:
    from collections.abc import Callable

Doubles = NDArray[np.float64]
STEP = 1e-5
"""Of the finite differences; their error is its square, 1e-10, and rounding's 1e-11."""


class Erf(OpRun):
    """onnx's own reference rounds to single precision, which no finite difference survives."""

    op_domain = ""

    def _run(self, x: Doubles) -> tuple[Doubles]:
        return (erf(x),)


class Gelu(OpRun):
    """Likewise."""

    op_domain = ""

    def _run(self, x: Doubles, approximate: str = "none") -> tuple[Doubles]:
        assert approximate == "none"
        return (x * (1 + erf(x / np.sqrt(2))) / 2,)


erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True, eq=False)
class Slow:
    """A plain classifier, cut at the target.

    Args:
        model: The file.
        target: Name of the target's tensor.
        logits: Name of the scores ahead of a trailing Softmax or Sigmoid, ``[B, classes]``.
        layout: Axes of the target: ``b c h w``, ``b h w c``, or ``b n c`` for tokens.
        extra: Tokens ahead of the patches.
        squash: ``softmax`` or ``sigmoid``: explain what it makes of the logits.
        head: Name of the weights ``[classes, C]`` of a linear layer behind the mean over cells.
    """

    model: onnx.ModelProto
    target: str
    logits: str
    layout: str = "b c h w"
    extra: int = 0
    squash: str = ""
    head: str = ""

    @cached_property
    def _doubles(self) -> onnx.ModelProto:
        return doubled(self.model)

    @cached_property
    def _tail(self) -> ReferenceEvaluator:
        return ReferenceEvaluator(part(self._doubles, [self.target], self.logits), new_ops=[Erf, Gelu])

    @cached_property
    def _front(self) -> ReferenceEvaluator:
        return ReferenceEvaluator(
            part(self._doubles, [entry.name for entry in self.model.graph.input], self.target), new_ops=[Erf, Gelu]
        )

    def features(self, images: NDArray[Any]) -> Doubles:
        """The target as the file lays it out."""
        name = self.model.graph.input[0].name
        return np.asarray(self._front.run(None, {name: images.astype(np.float64)})[0])

    def scores(self, features: Doubles) -> Doubles:
        """``[B, classes]``."""
        logits = np.asarray(self._tail.run(None, {self.target: features})[0])
        assert logits.dtype == np.float64
        if not self.squash:
            return logits
        if self.squash == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-logits)))
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def gradient(self, features: Doubles) -> Doubles:
        """``[classes, *features]``; every image's own element is moved in the same run, as images do not meet."""
        steps = np.eye(features[0].size).reshape(-1, 1, *features.shape[1:]) * STEP  # [elements, 1, *image]
        moved = [features + sign * steps for sign in (1, -1)]  # [elements, B, *image]
        ahead, back = (self._scores_of_many(many) for many in moved)  # [elements, B, classes]
        return np.moveaxis((ahead - back) / (2 * STEP), (2, 1), (0, 1)).reshape(-1, *features.shape)

    def _scores_of_many(self, batches: Doubles) -> Doubles:
        """Of many batches: as one where the file leaves it open."""
        if self.model.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value"):
            return np.array([self.scores(batch) for batch in batches])
        return self.scores(batches.reshape(-1, *batches.shape[2:])).reshape(*batches.shape[:2], -1)

    def cells(self, tensor: Doubles) -> Doubles:
        """``[..., C, N]`` of what has the target's layout behind ``[...]``."""
        if self.layout == "b c h w":
            return tensor.reshape(*tensor.shape[:-2], -1)
        if self.layout == "b h w c":
            tensor = tensor.reshape(*tensor.shape[:-3], -1, tensor.shape[-1])
        return np.swapaxes(tensor[..., self.extra :, :], -1, -2)

    def without(self, features: Doubles, channel: int) -> Doubles:
        """The features with one channel zeroed, at all cells and tokens."""
        copy = features.copy()
        copy[(slice(None), channel) if self.layout == "b c h w" else (..., channel)] = 0
        return copy

    def weights(self) -> Doubles:
        """``[classes, C]`` of the linear layer."""
        values = next(numpy_helper.to_array(t) for t in self.model.graph.initializer if t.name == self.head)
        return values.astype(np.float64)


def part(model: onnx.ModelProto, starts: list[str], end: str) -> onnx.ModelProto:
    """The nodes on the way to ``end``, from ``starts`` on."""
    wanted, nodes = {end}, []
    for node in reversed(model.graph.node):
        if not wanted.isdisjoint(node.output) and not set(node.output) & set(starts):
            nodes.append(node)
            wanted.update(node.input)
    inputs = [onnx.helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in starts]
    outputs = [onnx.helper.make_tensor_value_info(end, TensorProto.DOUBLE, None)]
    weights = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    graph = onnx.helper.make_graph(nodes[::-1], "part", inputs, outputs, weights)
    return onnx.helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)


def doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in doubles."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        _widen(tensor)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.DOUBLE
            elif node.op_type == "Constant" and attribute.type in {
                onnx.AttributeProto.FLOAT,
                onnx.AttributeProto.FLOATS,
            }:
                many = attribute.type == onnx.AttributeProto.FLOATS
                values = np.array(attribute.floats if many else attribute.f, np.float64)
                attribute.CopyFrom(onnx.helper.make_attribute("value", numpy_helper.from_array(values)))
    return copy


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


# the methods: one image, one class at a time ------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """What a formula speaks of.

    Args:
        a: Activations ``[C, N]``.
        g: Derivatives of the class score by them ``[C, N]``, one per noisy image: a single one where there is no noise.
        y: The class score.
        ablated: The class score without each channel.
        w: Weights ``[C]`` of the class in the linear layer.
    """

    a: Doubles
    g: tuple[Doubles, ...] = ()
    y: float = 0
    ablated: tuple[float, ...] = ()
    w: tuple[float, ...] = ()


def cam(view: View) -> Doubles:
    out = np.zeros(view.a.shape[1])
    for k, n in np.ndindex(view.a.shape):
        out[n] += view.w[k] * view.a[k, n]
    return out


def gradcam(view: View) -> Doubles:
    (g,) = view.g
    out = np.zeros(view.a.shape[1])
    for k, n in np.ndindex(view.a.shape):
        out[n] += sum(g[k]) / len(g[k]) * view.a[k, n]
    return np.maximum(out, 0)


def gradcam_plus_plus(view: View) -> Doubles:
    """With first, second and third derivatives averaged over the noisy images, where there are any."""
    out = np.zeros(view.a.shape[1])
    for k in range(len(view.a)):
        weight, total = 0.0, sum(view.a[k])
        for cell in range(view.a.shape[1]):
            first, second, third = (float(np.mean([g[k, cell] ** power for g in view.g])) for power in (1, 2, 3))
            alpha = second / (2 * second + third * total + 1e-6)  # the addend is pytorch-grad-cam's, not the paper's
            weight += alpha * max(first, 0)
        out += weight * view.a[k]
    return np.maximum(out, 0)


def layercam(view: View) -> Doubles:
    (g,) = view.g
    out = np.zeros(view.a.shape[1])
    for k, n in np.ndindex(view.a.shape):
        out[n] += max(g[k, n], 0) * view.a[k, n]
    return np.maximum(out, 0)


def hirescam(view: View) -> Doubles:
    return np.maximum(signed_hirescam(view), 0)


def signed_hirescam(view: View) -> Doubles:
    (g,) = view.g
    out = np.zeros(view.a.shape[1])
    for k, n in np.ndindex(view.a.shape):
        out[n] += g[k, n] * view.a[k, n]
    return out


def ablationcam(view: View) -> Doubles:
    out = np.zeros(view.a.shape[1])
    for k, n in np.ndindex(view.a.shape):
        out[n] += (view.y - view.ablated[k]) / view.y * view.a[k, n]
    return np.maximum(out, 0)


def eigencam(view: View) -> Doubles:
    centred = view.a - view.a.mean(axis=1, keepdims=True)
    _, _, right = np.linalg.svd(centred.T)
    out = centred.T @ right[0]
    return np.asarray(out if sum(out * view.a.mean(axis=0)) > 0 else -out)


def activation(view: View) -> Doubles:
    return np.array([sum(view.a[:, n]) / len(view.a) for n in range(view.a.shape[1])])


FORMULAS: dict[str, Callable[[View], Doubles]] = {
    "ablationcam": ablationcam,
    "activation": activation,
    "cam": cam,
    "eigencam": eigencam,
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "hirescam": hirescam,
    "layercam": layercam,
    "smoothgradcam++": gradcam_plus_plus,
}
GRADIENTS = ["gradcam", "gradcam++", "hirescam", "layercam"]


class SlowMaps:
    """All maps of some images, with what several methods need worked out once.

    Args:
        slow: The network.
        images: ``[B, ...]`` as it takes them.
    """

    def __init__(self, slow: Slow, images: NDArray[np.float32]) -> None:
        self.slow, self.images = slow, images

    @cached_property
    def features(self) -> Doubles:
        return self.slow.features(self.images)

    @cached_property
    def scores(self) -> Doubles:
        return self.slow.scores(self.features)

    @cached_property
    def _gradient(self) -> list[Doubles]:
        return [self.slow.cells(self.slow.gradient(self.features))]

    @cached_property
    def _ablated(self) -> Doubles:
        """``[C, B, classes]``."""
        channels = range(self.slow.cells(self.features).shape[-2])
        return np.array([self.slow.scores(self.slow.without(self.features, channel)) for channel in channels])

    def maps(
        self, method: str, noise: NDArray[Any] | None = None, formula: Callable[[View], Doubles] | None = None
    ) -> Doubles:
        """``[B, classes, N]``.

        Args:
            method: Whose.
            noise: Added to the images, ``[samples, 1, ...]``.
            formula: Instead of the method's own.
        """
        cells = self.slow.cells(self.features)
        gradients: list[Doubles] = []
        if noise is not None:
            noisy = [self.slow.features(self.images + one.astype(np.float64)) for one in noise]
            gradients = [self.slow.cells(self.slow.gradient(features)) for features in noisy]
        elif method in GRADIENTS:
            gradients = self._gradient
        ablated = self._ablated if method == "ablationcam" else np.zeros((0, *self.scores.shape))
        weights = self.slow.weights() if method == "cam" else np.zeros((self.scores.shape[1], 0))
        out = np.zeros((*self.scores.shape, cells.shape[-1]))
        for image, one in np.ndindex(self.scores.shape):
            view = View(
                cells[image],
                tuple(g[one, image] for g in gradients),
                self.scores[image, one],
                tuple(ablated[:, image, one]),
                tuple(weights[one]),
            )
            out[image, one] = (formula or FORMULAS[method])(view)
        return out
