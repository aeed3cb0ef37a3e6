"""What is wanted of a tensor's channels: some of them by their numbers, or weighted sums of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.walk import Note, name_of

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.pick_layers import Layer
    from onnx_reciprocam.tail.walk import Walk


@dataclass(frozen=True, eq=False)
class Classes:
    """Channels by their numbers.

    Args:
        walk: Receives the nodes.
        ids: int64 ``[B, K]``.
    """

    walk: Walk
    ids: gs.Tensor

    def of(self, values: gs.Tensor, channels: int) -> gs.Tensor:
        """``[B, channels, N] -> [B, K, N]``."""
        return choose(self.walk, values, self.ids, channels)

    def of_each(self, values: gs.Tensor) -> gs.Tensor:
        """``[channels, X] -> [B, K, X]``: what all images share."""
        return self.walk.branch.op("Gather", values, self.ids, axis=0)

    def through(self, layer: Layer) -> Rows:
        """``W[ids]``: what is wanted of the inputs of the layer that makes these channels."""
        branch, dims = self.walk.branch, len(self.walk.seen(layer.weights))
        rows: gs.Tensor = branch.op("Gather", layer.weights, self.ids, axis=layer.classes)
        if layer.classes:
            rows = branch.transpose(rows, [1, 2, 0])
        elif dims > 2:
            rows = branch.reshape(rows, [0, 0, -1])
        note = Note(name_of(layer.node), layer.node.op, "chosen rows", 0)
        return Rows(self.walk, layer.scaled(self.walk, rows, layer.alpha), (note,))


@dataclass(frozen=True, eq=False)
class Rows:
    """Weighted sums of channels, other ones for each image.

    Args:
        walk: Receives the nodes.
        weights: ``[B, K, channels]``.
        notes: One per layer whose rows are in the weights, with what joining them cost for one class per image.
    """

    walk: Walk
    weights: gs.Tensor
    notes: tuple[Note, ...]

    def of(self, values: gs.Tensor, _channels: int) -> gs.Tensor:
        """``[B, channels, X] -> [B, K, X]``."""
        return self.walk.branch.op("MatMul", self.weights, values)

    def of_each(self, values: gs.Tensor) -> gs.Tensor:
        """``[channels, X] -> [B, K, X]``: what all images share."""
        return self.walk.branch.op("MatMul", self.weights, values)

    def through(self, layer: Layer) -> Rows:
        """``R @ W``: two linear layers are one, and only the wanted rows of it are worked out."""
        branch, seen = self.walk.branch, self.walk.seen(layer.weights)
        if layer.classes:  # W stands as [inputs, outputs]: turn the few rows, not the weights
            product = branch.op("MatMul", layer.weights, branch.transpose(self.weights, [0, 2, 1]))
            rows = branch.transpose(product, [0, 2, 1])
        else:
            matrix = branch.reshape(layer.weights, [seen[0], -1]) if len(seen) > 2 else layer.weights
            rows = branch.op("MatMul", self.weights, matrix)
        images = self.walk.seen(layer.node.outputs[0])[0]
        note = Note(name_of(layer.node), layer.node.op, "chosen rows", images * int(np.prod(seen)))
        return Rows(self.walk, layer.scaled(self.walk, rows, layer.alpha), (*self.notes, note))

    def times(self, factor: gs.Tensor) -> Rows:
        """The same of channels multiplied by ``factor``, ``[channels]`` or ``[1]``."""
        return replace(self, weights=self.walk.branch.op("Mul", self.weights, factor))

    def spent(self, multiply_adds: int) -> tuple[Note, ...]:
        """The notes once the weights have been used, at that cost for one class per image."""
        *others, last = self.notes
        return (*others, replace(last, multiply_adds=last.multiply_adds + multiply_adds))


def choose(walk: Walk, scores: gs.Tensor, ids: gs.Tensor, classes: int) -> gs.Tensor:
    """``[B, classes, N]`` and ``[B, K]`` -> ``[B, K, N]``."""
    branch = walk.branch
    if branch.opset < 11:
        return _one_hot(walk, scores, ids, classes)
    spread = branch.op("Expand", branch.unsqueeze(ids, [2]), branch.vector([1, 1, walk.stacker.count]))
    return branch.op("GatherElements", scores, spread, axis=1)


def _one_hot(walk: Walk, scores: gs.Tensor, ids: gs.Tensor, classes: int) -> gs.Tensor:
    """The choice before GatherElements came: a product with one-hot rows."""
    branch = walk.branch
    known = branch.constant(np.arange(classes), hint="classes")
    checked = branch.op("Gather", known, ids, axis=0)  # fails on ids that no class has, which rows of zeros would hide
    one_hot = branch.cast(branch.equal(branch.unsqueeze(checked, [2]), known), np.float32)
    return branch.op("MatMul", one_hot, scores)
