"""The two ways of a test of late class choice: chosen by the walk, and computed for every class and chosen afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs
from bare_tail import Tail
from carried import naive, open_tail, session, start_masked
from elementwise_cases import real
from hypothesis import strategies as st

from onnx_reciprocam.tail import Note, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Head = Callable[[Tail, st.DataObject], str]

CLASSES = 5
WEIGHT = "class_weights"
"""Of the layer that makes the classes."""
HIDDEN = "hidden_weights"
"""Of a layer before it."""


def pooled(tail: Tail) -> str:
    """``[B, C]``, masks told apart only by then."""
    return tail.op("Flatten", tail.op("GlobalAveragePool", tail.op("Relu", real(tail))))


def weights(tail: Tail, *shape: int, name: str = WEIGHT) -> str:
    return tail.weight(tail.normal(*shape), name)


@dataclass
class Picked:
    """What the walk picked.

    Args:
        values: ``[B, K, N]``.
        nodes: What it takes.
        notes: Of the walk.
    """

    values: NDArray[Any]
    nodes: list[gs.Node]
    notes: list[Note]

    def readers(self, weight: str) -> list[str]:
        """The operators that read an initializer."""
        return [node.op for node in self.nodes if any(tensor.name == weight for tensor in node.inputs)]


def picked(tail: Tail, scores: str, ids: NDArray[np.int64], mask: str = "pixel") -> Picked:
    walk = open_tail(tail, [scores])
    walk.start(start_masked(tail, mask)(walk))
    wanted = walk.branch.input(gs.Variable("ids", np.int64, ["batch", "K"]))
    value = walk.branch.op("Identity", pick(walk, walk.model.tensors[scores], wanted))
    model = walk.model.appended(walk.branch.export([wanted], [value]), {})
    feeds = {"image": tail.features, "ids": ids, **tail.side}
    return Picked(session(model).run([value.name], feeds)[0], walk.branch.nodes, walk.notes)


def chosen(tail: Tail, scores: str, ids: NDArray[np.int64], mask: str = "pixel") -> NDArray[Any]:
    """The same, of all scores under every masked copy."""
    every = naive(tail, [scores], mask)[0]
    every = every.reshape(len(every), tail.sizes["b"], CLASSES)
    return np.moveaxis(np.take_along_axis(every, ids[None] % CLASSES, axis=2), 0, -1)


def drawn(
    data: st.DataObject, *, opsets: Sequence[int] = (9, 11, 13, 18), layout: str = "b c h w", dynamic: str = "b"
) -> tuple[Tail, NDArray[np.int64]]:
    """A tail of a few images, and different classes for each of them, some of them twice, some counted from the end."""
    batch, free = data.draw(st.sampled_from([(1, ""), (3, ""), (3, dynamic)]), "batch")
    sizes = {"b": batch, "c": data.draw(st.integers(1, 4)), "h": data.draw(st.integers(1, 3)), "w": 2}
    tail = Tail(data.draw(st.sampled_from(opsets)), layout, sizes, dynamic=free, seed=data.draw(st.integers(0, 99)))
    ids = tail.random.integers(-CLASSES, CLASSES, (batch, data.draw(st.integers(1, 4), "K")))
    return tail, ids.astype(np.int64)
