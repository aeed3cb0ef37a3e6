"""Masks in chunks, one carried after the other behind the same target, so that only one chunk is in memory at a time.

Chunk after chunk a walk emits into the same branch, and onnxruntime runs them one by one: it finishes what a result needs
before it turns to the next. What keeps the sum of all chunks from piling up all the same is settled here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.graph import Branch

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from onnx_reciprocam.graph import Model

LARGE = 256
"""Numbers above which a constant is worth keeping once."""
PACKED_ONCE = frozenset({"Conv", "ConvTranspose"})
"""Operators whose weights onnxruntime prepares once, however many nodes read them."""


def chunks(masks: int, size: int) -> list[range]:
    """All masks in as few runs of at most ``size`` as there can be, of nearly equal lengths."""
    count = -(-masks // size)
    ends = [masks * i // count for i in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


class ChunkedBranch(Branch):
    """A branch that several walks emit into: what they have in common stands in it once.

    Equal nodes are emitted once. Weights and backgrounds reach them through a Reshape whose shape only a run tells:
    onnxruntime would otherwise work out at load all that follows from them, gathered for every chunk, and keep it.

    Args:
        model: What the nodes are added to.
        target: A tensor that differs from run to run.
        half: As for any branch.
    """

    def __init__(self, model: Model, target: gs.Tensor, *, half: Container[str] = ()) -> None:
        super().__init__(model, half=half)
        self._model, self._target = model, target
        self._emitted: dict[tuple[object, ...], list[gs.Variable]] = {}
        self._late: dict[str, gs.Tensor] = {}
        self._zero: gs.Tensor | None = None

    def emit(
        self, op: str, inputs: Sequence[gs.Tensor], *, outputs: int = 1, domain: str = "", hint: str = "", **attrs: Any
    ) -> list[gs.Variable]:
        """Add a node, or find the one that does the same, and return its outputs."""
        if op not in PACKED_ONCE:
            inputs = [self._at_run_time(tensor) for tensor in inputs]
        plain = {name: value for name, value in attrs.items() if isinstance(value, int | float | str | list | tuple)}
        key = (op, domain, outputs, *(tensor.name for tensor in inputs), repr(sorted(plain.items())))
        if key not in self._emitted or len(plain) < len(attrs):  # graphs and tensors are not compared
            self._emitted[key] = super().emit(op, inputs, outputs=outputs, domain=domain, hint=hint, **attrs)
        return self._emitted[key]

    def _at_run_time(self, tensor: gs.Tensor) -> gs.Tensor:
        """``tensor``, or what stands for it where it is a large constant."""
        if tensor.name and tensor.name not in self._late:
            self._late[tensor.name] = tensor
            values = tensor.values if isinstance(tensor, gs.Constant) else self._model.constant(tensor)
            if values is not None and values.size > LARGE and values.dtype.kind == "f":
                shape = self.op("Add", self.constant(values.shape), self._run_time_zero())
                late = super().emit("Reshape", [tensor, shape])[0]
                late.shape, late.dtype = values.shape, values.dtype  # no inference tells
                self._late[tensor.name] = late
        return self._late.get(tensor.name, tensor)

    def _run_time_zero(self) -> gs.Tensor:
        """int64 ``[1]``: the target's first value times 0, in whole numbers, so that NaN counts as well."""
        if self._zero is None:
            first = self.slice(self.reshape(self._target, [-1]), 0, 1, 0)
            self._zero = self.op("Mul", self.cast(first, np.int64), self.constant([0]))
        return self._zero
