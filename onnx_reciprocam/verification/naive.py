"""The naive explanation: the tail, run once per masked cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import NodeNotFoundError, OutputError
from onnx_reciprocam.verification import cut
from onnx_reciprocam.verification.layouts import Layout, masked_copy
from onnx_reciprocam.verification.loading import Model
from onnx_reciprocam.verification.samples import picture_size
from onnx_reciprocam.verification.zero_point import zero_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Contract
    from onnx_reciprocam.verification.running import Feeds, Runtime

_EPSILON = {"tensor(float16)": 2.0**-10, "tensor(bfloat16)": 2.0**-7}


@dataclass(frozen=True)
class NaiveMaps:
    """Scores under the masks.

    Args:
        scores: ``[B, K, len(cells)]``, float64, of the wanted classes.
        cells: Cells that were run, in order.
        grid: ``(H, W)``.
        peak: ``[B]``, the largest absolute score of any class under any mask.
        epsilon: Relative precision of the target's type where it is below float32's, else 0.
    """

    scores: NDArray[np.float64]
    cells: NDArray[np.int64]
    grid: tuple[int, int]
    peak: NDArray[np.float64]
    epsilon: float


class Cut:
    """A tensor at which the original is cut, and the part of the model that computes it.

    Args:
        original: The model.
        tensor: Its name.
        runtime: How sessions are made.

    Raises:
        NodeNotFoundError: There is none of that name.
    """

    def __init__(self, original: Model, tensor: str, runtime: Runtime) -> None:
        known = [name for node in original.proto.graph.node for name in node.output]
        known += [value.name for value in original.proto.graph.input]
        if tensor not in known:
            raise NodeNotFoundError(tensor, known)
        self.tensor = tensor
        part, self._output = cut.head(original.proto, tensor)
        self.head = runtime.open(_part_of(original, part, "head"))
        self.kind = self.head.outputs[self._output].kind
        if self.kind == "tensor(bfloat16)":
            part, self._output = cut.head(original.proto, tensor, self.kind)
            self.head = runtime.open(_part_of(original, part, "head"))

        self.zero = zero_point(original.proto.graph, tensor) if self.kind in cut.WHOLE_TYPES else 0

    def features(self, feeds: Feeds) -> NDArray[Any]:
        """Its values on these inputs, in its own layout."""
        features: NDArray[Any] = self.head.run(feeds)[self._output]
        return features


class Naive:
    """The original model, cut at the target, and with ``post-norm`` at the norm behind it.

    Args:
        original: The model.
        contract: What the rewritten file says of itself.
        runtime: How sessions are made.

    Raises:
        NodeNotFoundError, UnsupportedModelError, VerificationError: It cannot be cut there.
    """

    def __init__(self, original: Model, contract: Contract, runtime: Runtime) -> None:
        self._contract = contract
        self._cuts = [Cut(original, name, runtime) for name in (contract.target, contract.norm) if name]
        self._layout = Layout.parse(contract.layout, contract.grid)
        self._score, self._add_softmax = cut.score_tensor(
            original.unfused.graph, contract.outputs["score"], contract.score
        )
        part, self._fed = cut.tail(original.unfused, {each.tensor: each.kind for each in self._cuts}, self._score)
        self._tail = runtime.open(_part_of(original, part, "tail"))

    def features(self, feeds: Feeds) -> NDArray[Any]:
        """The target on these inputs, in its own layout."""
        return self._cuts[0].features(feeds)

    def grid(self, feeds: Feeds, features: NDArray[Any]) -> tuple[int, int]:
        """Cells down and across."""
        height, width = self._settled(feeds, features).cells(features).shape[2:]
        return height, width

    def _settled(self, feeds: Feeds, features: NDArray[Any]) -> Layout:
        """The target's layout, with the grid that it has on these inputs."""
        if None not in self._layout.grid:
            return self._layout
        return self._layout.settled(features, picture_size(self._cuts[0].head, self._contract, feeds))

    def maps(
        self, feeds: Feeds, features: NDArray[Any], classes: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> NaiveMaps:
        """Run the tail once per cell, each time with the model's own batch.

        Args:
            feeds: The model's inputs, for a tail that reads them too.
            features: The target on them.
            classes: ``[B, K]``, the classes to keep.
            cells: The cells to run.
        """
        layout = self._settled(feeds, features)
        unmasked = [features, *(each.features(feeds) for each in self._cuts[1:])]
        scores = np.empty((*classes.shape, len(cells)))
        peak = np.zeros(len(classes))
        for position, cell in enumerate(cells):
            masked = [
                self._masked(layout, whole, int(cell), part.zero)
                for whole, part in zip(unmasked, self._cuts, strict=True)
            ]
            raw = self._tail.run({**feeds, **dict(zip(self._fed, masked, strict=True))})[self._score]
            every = self._finished(by_class(raw, len(classes), self._score))
            scores[..., position] = np.take_along_axis(every, classes, axis=1)
            peak = np.maximum(peak, np.abs(every).max(axis=1))
        return NaiveMaps(
            scores, cells, self.grid(feeds, features), peak, max(_EPSILON.get(each.kind, 0.0) for each in self._cuts)
        )

    def _masked(self, layout: Layout, whole: NDArray[Any], cell: int, zero: int) -> NDArray[Any]:
        """A tensor of the target's layout under the mask of one cell."""
        return layout.features(masked_copy(layout.cells(whole), self._contract.mask, cell, zero), whole)

    def _finished(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._add_softmax:
            return scores
        if scores.shape[1] == 1:
            return 1 / (1 + np.exp(-scores))
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def by_class(scores: NDArray[Any], batch: int, name: str) -> NDArray[np.float64]:
    """``[B, classes]`` from that, ``[B, classes, 1, 1]`` or, for one image, ``[classes]``.

    Raises:
        OutputError: The scores have another shape.
    """
    has_batch = scores.shape[:1] == (batch,)
    sides = scores.shape[1:] if has_batch else scores.shape
    if not (has_batch or batch == 1) or sum(side > 1 for side in sides) > 1:
        raise OutputError(name, f"shape {scores.shape} is no row of class scores for each of {batch} images.")
    return scores.reshape(batch, -1).astype(np.float64)


def _part_of(original: Model, part: Any, title: str) -> Model:
    return Model(f"{original.name} ({title})", part, part.SerializeToString(), original.file)
