"""The two ways of one test: a tail carried by the walk, and the same tail run on every masked copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
from bare_tail import TARGET, TESTED

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.graph import Branch, Model, probe
from onnx_reciprocam.masks import masked_copies
from onnx_reciprocam.methods.reciprocam import masked
from onnx_reciprocam.tail import Stacked, Term, Walk, axes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from bare_tail import Tail
    from numpy.typing import NDArray

    Start = Callable[[Walk], Term]

FLOAT32 = np.dtype(np.float32)


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """One thread, no optimisation, silent."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def naive(tail: Tail, outputs: list[str], mask: str = "pixel") -> list[NDArray[Any]]:
    """Each output of the tail under every mask, ``[N, *shape]``: one run of the plain model per masked copy."""
    plain = session(tail.model(outputs))
    first = np.moveaxis(tail.features, tail.channel_axis, 1)
    copies = np.moveaxis(masked_copies(first, mask, *tail.grid), 2, tail.channel_axis + 1)
    runs = [plain.run(None, {"image": copy, **tail.side}) for copy in copies]
    return [np.stack(values) for values in zip(*runs, strict=True)]


@dataclass
class Carried:
    """A walk over the whole tail.

    Args:
        walk: Where it ended.
        model: The tail's file with the branch that gives each output as ``[N, *shape]``.
        tail: What was carried.
        names: The new outputs.
    """

    walk: Walk
    model: onnx.ModelProto
    tail: Tail
    names: list[str]

    def run(self) -> list[NDArray[Any]]:
        """The outputs under every mask."""
        values: list[NDArray[Any]] = session(self.model).run(
            self.names, {"image": self.tail.features, **self.tail.side}
        )
        return values

    @property
    def kind(self) -> tuple[str, str]:
        """The term of the tested node, and why no narrower one did."""
        return next((note.term, note.widened) for note in self.walk.notes if note.node == TESTED)


def open_tail(tail: Tail, outputs: list[str]) -> Walk:
    """A walk behind the target, not started yet."""
    model = Model(tail.model(outputs), "the tail", None, "")
    shapes = probe(model, tail.grid)
    branch = Branch(model)
    target = model.tensors[TARGET]
    letters = tail.layout.split()
    sizes = branch.sizes(target, shapes.static(TARGET))
    grid = sizes[letters.index("h")], sizes[letters.index("w")]
    return Walk(model, shapes, branch, target, grid=grid, copies=tail.grid[0] * tail.grid[1])


def carry(tail: Tail, outputs: list[str], start: Start) -> Carried:
    """Walk from ``start`` to ``outputs``."""
    walk = open_tail(tail, outputs)
    walk.start(start(walk))
    fronts = []
    for name in outputs:
        tensor = walk.model.tensors[name]
        front = walk.stacker.front(walk.stacker.stack(walk.term(tensor), walk.static(tensor)))
        fronts.append(walk.branch.op("Identity", front))
    model = walk.model.appended(walk.branch.export([], fronts), {})
    return Carried(walk, model, tail, [front.name for front in fronts])


def start_masked(tail: Tail, mask: str = "pixel", *, slow: bool = False) -> Start:
    """The start of a real rewrite."""

    def start(walk: Walk) -> Term:
        return masked(walk, axes_of(tail.layout, walk.seen(walk.target)), Mask(mask), FLOAT32, naive=slow)

    return start


def start_stacked(tail: Tail, place: int | None) -> Start:
    """Multiplied out, with the mask axis where a rule may meet it."""

    def start(walk: Walk) -> Term:
        term = start_masked(tail, slow=True)(walk)
        if not isinstance(term, Stacked) or place == 0:
            return term
        if place is None:
            return Stacked(walk.stacker.rows(term), None, term.shape)
        order = list(range(1, len(term.shape) + 1))
        return Stacked(walk.branch.transpose(term.value, [*order[:place], 0, *order[place:]]), place, term.shape)

    return start


def assert_same(got: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> None:
    """Equal shapes, and values equal up to rounding."""
    for value, expected in zip(got, wanted, strict=True):
        assert value.shape == expected.shape
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value.astype(np.float64), expected.astype(np.float64), rtol=1e-5, atol=1e-6)
