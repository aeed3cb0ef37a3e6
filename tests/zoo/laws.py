"""The law that each weight of a skeleton is drawn from, kept as JSON in the initializer's ``doc_string``.

Drawn networks have no batch statistics to keep them healthy: the positive mean that every Relu leaves behind piles up
with depth, until all images look alike. So filters are standardised, as in networks built to train without
normalisation (Brock et al., arXiv:2101.08692, section 4): each sums to zero, which cancels that mean.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Law:
    """A distribution of float32 weights.

    Args:
        kind: ``normal``; ``uniform``, over ``center - spread`` to ``center + spread``; or ``filters``, normal and then
            brought to exactly that mean and deviation over ``axes``.
        center: Mean of the weights.
        spread: Their standard deviation, or half the width of ``uniform``.
        axes: The weights that one output of a ``filters`` layer sums over.
    """

    kind: str
    center: float
    spread: float
    axes: tuple[int, ...] = ()

    def to_json(self) -> str:
        """What goes into the ``doc_string``, numbers rounded to keep files small."""
        rounded = {"center": float(f"{self.center:.4g}"), "spread": float(f"{self.spread:.4g}")}
        return json.dumps(asdict(self) | rounded)

    @classmethod
    def from_json(cls, text: str) -> Law:
        """Read what :meth:`to_json` wrote."""
        entries = json.loads(text)
        return cls(**entries | {"axes": tuple(entries["axes"])})

    def draw(self, shape: Sequence[int], seed: int, index: int) -> Float32:
        """Weights of ``shape`` for the initializer of that index."""
        rng = np.random.default_rng([seed, index])
        if self.kind == "uniform":
            low, width = np.float32(self.center - self.spread), np.float32(2 * self.spread)
            return low + width * rng.random(shape, np.float32)
        values = rng.standard_normal(shape, np.float32)
        if self.kind == "filters" and math.prod(shape[axis] for axis in self.axes) > 1:
            values -= values.mean(self.axes, keepdims=True)
            values /= values.std(self.axes, keepdims=True)
        values *= np.float32(self.spread)
        values += np.float32(self.center)
        return values


SCALE = Law("uniform", 1.0, 0.5)
SHIFT = Law("normal", 0.0, 0.1)
PLACE = Law("normal", 0.0, 2.0)
"""What is added to positions, or to the attention between them: larger than the signal, or random attention, which has
learned to look nowhere, would blur all positions into one."""
FIXED = {
    ("Conv", 2): SHIFT,
    ("Gemm", 2): SHIFT,
    ("BatchNormalization", 1): SCALE,
    ("BatchNormalization", 2): SHIFT,
    ("BatchNormalization", 3): SHIFT,
    ("BatchNormalization", 4): SCALE,
    ("LayerNormalization", 1): SCALE,
    ("LayerNormalization", 2): SHIFT,
    ("Mul", 0): SCALE,
    ("Mul", 1): SCALE,
    ("Add", 0): SHIFT,
    ("Add", 1): SHIFT,
    ("LSTM", 3): SHIFT,
}
"""The law of what stands at a position among an operator's inputs."""
FILTERS = {("Conv", 1), ("Gemm", 1), ("MatMul", 0), ("MatMul", 1)}
"""Positions of filters, whose law their shape decides."""
RECURRENT = {("LSTM", 1), ("LSTM", 2)}
"""Positions of filters whose gates bound what comes out, so that nothing calibrates them."""


def law_of(node: onnx.NodeProto, position: int, tensor: onnx.TensorProto) -> Law | None:
    """The first guess for a weight at ``position`` of the node's inputs; None where the operator is not known."""
    role = (node.op_type, position)
    if role in RECURRENT:
        return Law("normal", 0.0, 1 / math.sqrt(tensor.dims[-1]))
    if node.op_type == "Add" and sum(length > 1 for length in tensor.dims) > 1:
        return PLACE
    return _filters(node, position, tensor) if role in FILTERS else FIXED.get(role)


def _filters(node: onnx.NodeProto, position: int, tensor: onnx.TensorProto) -> Law:
    """He et al., arXiv:1502.01852; what follows the layer decides the right gain, see ``calibrate.py``."""
    axes = tuple(axis % len(tensor.dims) for axis in _summed_axes(node, position, len(tensor.dims)))
    fan_in = math.prod(tensor.dims[axis] for axis in axes)
    return Law("filters", 0.0, math.sqrt(2 / fan_in), axes)


def _summed_axes(node: onnx.NodeProto, position: int, rank: int) -> tuple[int, ...]:
    if node.op_type == "Conv":
        return tuple(range(1, rank))
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return (1,) if transposed else (0,)
    return (-1,) if position == 0 else (-2,)
