"""What lies behind a tensor of a plain file, in doubles: derivatives of large networks by finite differences.

onnxruntime makes what the tail reads, onnx's own reference runs it. Nothing is shared with what is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from rewritten import run
from slow_maps import Erf, Gelu, doubled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

STEP = 1e-7
"""Of the differences, as a share of what is moved: small, so that few gates (ReLU) open or shut within it."""


@dataclass(frozen=True, eq=False)
class Tail:
    """The nodes from the target to the scores.

    Args:
        model: The file.
        target: Name of the tensor where the tail begins.
        logits: Name of the scores.
        images: What the file is given.
        read: What the tail reads of the file in a run with them, where somebody knows it already, see :attr:`wanted`.
    """

    model: onnx.ModelProto
    target: str
    logits: str
    images: NDArray[np.float32]
    read: Mapping[str, NDArray[Any]] | None = None

    @cached_property
    def nodes(self) -> list[onnx.NodeProto]:
        behind = {self.target}
        for node in self.model.graph.node:
            if not behind.isdisjoint(node.input):
                behind.update(node.output)
        wanted, nodes = {self.logits}, []
        for node in reversed(self.model.graph.node):
            if (
                not wanted.isdisjoint(node.output)
                and behind.intersection(node.output)
                and self.target not in node.output
            ):
                nodes.append(node)
                wanted.update(name for name in node.input if name in behind)
        return nodes[::-1]

    @property
    def wanted(self) -> list[str]:
        """The target, the logits and whatever else the tail reads that is no weight."""
        made = {name for node in self.nodes for name in node.output}
        weights = {tensor.name for tensor in self.model.graph.initializer}
        read = {name for node in self.nodes for name in node.input if name} - made - weights
        return sorted(read | {self.target, self.logits})

    @cached_property
    def given(self) -> Mapping[str, NDArray[Any]]:
        """The values of what is wanted, for these images."""
        if self.read is not None:
            return self.read
        found = run(with_outputs(self.model, self.wanted), self.images)
        return {name: self.images if name in _inputs(self.model) else found[name] for name in self.wanted}

    @cached_property
    def _reference(self) -> ReferenceEvaluator:
        inputs = [onnx.helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in self.given]
        outputs = [onnx.helper.make_tensor_value_info(self.logits, TensorProto.DOUBLE, None)]
        read = {name for node in self.nodes for name in node.input}
        weights = [tensor for tensor in self.model.graph.initializer if tensor.name in read]
        graph = onnx.helper.make_graph(self.nodes, "tail", inputs, outputs, weights)
        opsets, functions = self.model.opset_import, self.model.functions
        return ReferenceEvaluator(
            doubled(onnx.helper.make_model(graph, opset_imports=opsets, functions=functions)), new_ops=[Erf, Gelu]
        )

    def scores(self, target: Doubles) -> Doubles:
        """``[B, classes]``."""
        feeds = {name: _doubles(values) for name, values in self.given.items() if name != self.logits}
        (logits,) = self._reference.run(None, feeds | {self.target: target})
        assert logits.dtype == np.float64
        return np.asarray(logits).reshape(len(self.images), -1)

    @cached_property
    def rounding(self) -> float:
        """How far onnxruntime's scores are from these, as a share of the largest."""
        wanted = self.scores(self.given[self.target].astype(np.float64))
        found = self.given[self.logits].reshape(wanted.shape)
        return float(np.abs(found - wanted).max() / np.abs(wanted).max())

    def along(self, direction: Doubles) -> Doubles:
        """Derivatives of all scores ``[B, classes]``, every image's along its own ``direction``."""
        features = self.given[self.target].astype(np.float64)
        step = STEP * float(np.abs(features).max() / np.abs(direction).max())
        ahead, back = (self.scores(features + sign * step * direction) for sign in (1, -1))
        return (ahead - back) / (2 * step)


def with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """The file with tensors of its own as further outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    public = {entry.name for entry in model.graph.output} | _inputs(model)
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in public)
    return copy


def _inputs(model: onnx.ModelProto) -> set[str]:
    return {entry.name for entry in model.graph.input}


def _doubles(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float64) if values.dtype == np.float32 else values
