"""How often each token counts: once for those of a mask's own, and the resting one for all others, however many a run has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import DTypeLike

    from onnx_reciprocam.graph import Branch, Size


@dataclass(frozen=True)
class Copies:
    """Numbers of tokens along one axis.

    Args:
        branch: Receives the nodes.
        alone: How many count once.
        resting: How often the last one counts.
        shape: All ones but for -1 where that axis is.
        dtype: Of what they are multiplied with.
    """

    branch: Branch
    alone: int
    resting: Size
    shape: Sequence[int]
    dtype: DTypeLike

    def numbers(self) -> gs.Tensor:
        """Themselves."""
        if isinstance(self.resting, int):
            return self._constant(self._known(self.resting))
        return self._joined(self._floating(self.resting), 1)

    def logarithms(self) -> gs.Tensor:
        """Added to the scores of a softmax, they count in it; that of no token at all is -inf."""
        if isinstance(self.resting, int):
            return self._constant(np.log(self._known(self.resting)))
        return self._joined(self.branch.op("Log", self._floating(self.resting)), 0)

    def divisors(self) -> gs.Tensor:
        """At least 1, so that the share of no token at all stays zero."""
        if isinstance(self.resting, int):
            return self.numbers()
        one = self.branch.constant([1], np.float32)
        return self._joined(self.branch.op("Max", self._floating(self.resting), one), 1)

    def without_none(self, value: gs.Tensor, kind: str) -> gs.Tensor:
        """``value`` for a ``ReduceMax`` or ``ReduceMin``: a token that stands for none at all is never taken."""
        if isinstance(self.resting, int):
            return value
        one = self.branch.constant([1], np.float32)
        lost = self._joined(self.branch.op("Log", self.branch.op("Min", self._floating(self.resting), one)), 0)
        return self.branch.op("Add" if kind == "ReduceMax" else "Sub", value, lost)

    def _known(self, resting: int) -> np.ndarray:
        return np.array([1] * self.alone + [resting], np.float64).reshape(self.shape)

    def _constant(self, values: np.ndarray) -> gs.Tensor:
        return self.branch.constant(values, self.dtype, hint="resting")

    def _floating(self, size: gs.Tensor) -> gs.Tensor:
        return self.branch.cast(size, np.float32)

    def _joined(self, last: gs.Tensor, first: float) -> gs.Tensor:
        """``first`` for those that count once, and ``last``."""
        if self.alone:
            last = self.branch.concat([self.branch.constant([first] * self.alone, np.float32), last], 0)
        laid = self.branch.reshape(last, self.shape)
        return laid if self.dtype == np.float32 else self.branch.cast(laid, self.dtype)
