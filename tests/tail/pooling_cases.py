"""Operators that make fewer values from many: pools, reductions, and statistics of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from case import SPOT, STACKED, WINDOW, Case, Outcome, looped, widened
from elementwise_cases import real, unit
from hypothesis import strategies as st

if TYPE_CHECKING:
    from bare_tail import Tail
    from case import Build
    from hypothesis.strategies import DataObject


def whole(kind: str) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail))

    return build


def pool(kind: str, *, outputs: int = 1) -> Build:
    """A window of several cells that does not cover the map alone."""

    def build(tail: Tail, data: DataObject) -> list[str]:
        kernel = [data.draw(st.integers(1, side), "kernel") for side in tail.grid]
        kernel[1] += kernel == [1, 1]
        pads = [0, 0, *(int(side > 1) for side in kernel)]
        strides = data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2), "strides")
        return tail.all_of_tested(kind, real(tail), outputs=outputs, kernel_shape=kernel, strides=strides, pads=pads)

    return build


def whole_pool(kind: str) -> Build:
    """A window as large as the map."""

    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail), kernel_shape=list(tail.grid))

    return build


def same_pool(kind: str) -> Build:
    """A window as large as the map, which onnxruntime pads so that the map keeps its size."""

    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail), kernel_shape=list(tail.grid), auto_pad="SAME_UPPER")

    return build


def no_pool(kind: str, outputs: int = 1) -> Build:
    """A window of one cell."""

    def build(tail: Tail, _data: DataObject) -> list[str]:
        return tail.all_of_tested(kind, real(tail), outputs=outputs, kernel_shape=[1, 1])

    return build


def reduced(kind: str, axes: list[list[int]]) -> Build:
    """Over any of ``axes``, kept or not."""

    def build(tail: Tail, data: DataObject) -> str:
        over = data.draw(st.sampled_from(axes if tail.opset >= 11 else axes[:1]), "axes")
        kept = data.draw(st.integers(0, 1), "keepdims")
        since = 13 if kind == "ReduceSum" else 18
        return tail.axes(kind, unit(tail), over, since, keepdims=kept)

    return build


def everything(kind: str) -> Build:
    def build(tail: Tail, data: DataObject) -> str:
        return tail.tested(kind, unit(tail), keepdims=data.draw(st.integers(0, 1), "keepdims"))

    return build


def nothing(tail: Tail, _data: DataObject) -> str:
    return tail.tested("ReduceSum", real(tail), noop_with_empty_axes=1)


def nothing_named(tail: Tail, _data: DataObject) -> str:
    return tail.tested("ReduceSum", real(tail), np.zeros(0, np.int64), noop_with_empty_axes=1)


def statistics(kind: str, **attrs: Any) -> Build:
    """A normalisation with a scale and a shift per channel."""

    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail), tail.normal(tail.channels), tail.normal(tail.channels), **attrs)

    return build


def group_norm(tail: Tail, _data: DataObject) -> str:
    length = 1 if tail.opset < 21 else tail.channels
    return tail.tested(
        "GroupNormalization", real(tail), tail.normal(length), tail.normal(length), num_groups=1, epsilon=0.1
    )


def local_response(tail: Tail, _data: DataObject) -> str:
    return tail.tested("LRN", real(tail), size=3, alpha=0.5)


def depth_to_space(tail: Tail, _data: DataObject) -> str:
    fourfold = tail.op("Concat", real(tail), tail.x, tail.x, tail.x, axis=1)
    return tail.tested("DepthToSpace", fourfold, blocksize=2)


def space_to_depth(tail: Tail, _data: DataObject) -> str:
    even = all(side % 2 == 0 for side in tail.grid)
    return tail.tested("SpaceToDepth", real(tail), blocksize=2 if even else 1)


def no_rule(op: str) -> Outcome:
    return widened(f"no rule for {op}")


REDUCTIONS = (
    *("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
)
SHORT = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
"""Reductions over all cells that need no copies."""
PART = "it reduces over a part of the cells or over other axes too"


def over_cells(kind: str) -> Outcome:
    return STACKED if kind in SHORT else widened(f"no short form of {kind}")


CASES = [
    *(Case(kind, whole(kind), spot=STACKED) for kind in ("GlobalAveragePool", "GlobalMaxPool")),
    Case("GlobalLpPool", whole("GlobalLpPool"), spot=no_rule("GlobalLpPool"), opsets=(9, 18)),
    *(Case(kind, pool(kind), spot=WINDOW, note="kxk") for kind in ("AveragePool", "MaxPool")),
    Case("LpPool", pool("LpPool"), spot=no_rule("LpPool")),
    *(Case(kind, whole_pool(kind), spot=STACKED, note="of the map") for kind in ("AveragePool", "MaxPool")),
    *(Case(kind, same_pool(kind), spot=WINDOW, note="same size") for kind in ("AveragePool", "MaxPool")),
    *(Case(kind, no_pool(kind), spot=SPOT, note="1x1") for kind in ("AveragePool", "MaxPool")),
    *(
        Case("MaxPool", build, spot=looped("it counts .*"), stacked=looped("it counts .*"), note=note)
        for build, note in ((pool("MaxPool", outputs=2), "places"), (no_pool("MaxPool", 2), "places 1x1"))
    ),
    *(Case(kind, reduced(kind, [[1], [-3]]), note="channels", opsets=(9, 13, 18)) for kind in REDUCTIONS),
    *(
        Case(kind, reduced(kind, [[2, 3], [-1, -2]]), spot=over_cells(kind), note="cells", opsets=(11, 13, 18))
        for kind in REDUCTIONS
    ),
    *(
        Case(
            kind,
            reduced(kind, [[1, 2], [-2, -3]]),
            spot=over_cells(kind),
            note="cells, channels last",
            layout="b h w c",
        )
        for kind in SHORT
    ),
    Case("ReduceMean", reduced("ReduceMean", [[1, 2], [1, 2, 3]]), spot=widened(PART), note="a part"),
    Case("ReduceMean", everything("ReduceMean"), spot=widened(PART), note="everything"),
    Case("ReduceMax", reduced("ReduceMax", [[0], [0, 1]]), spot=widened("it reduces over the batch"), note="the batch"),
    Case("ReduceSum", nothing, note="nothing", opsets=(13,)),
    Case("ReduceSum", nothing_named, note="an empty list", opsets=(13,)),
    Case(
        "InstanceNormalization", statistics("InstanceNormalization", epsilon=0.1), spot=no_rule("InstanceNormalization")
    ),
    Case("GroupNormalization", group_norm, spot=no_rule("GroupNormalization"), opsets=(18, 21)),
    Case("LRN", local_response, spot=no_rule("LRN")),
    Case("DepthToSpace", depth_to_space, spot=no_rule("DepthToSpace")),
    Case("SpaceToDepth", space_to_depth, spot=no_rule("SpaceToDepth")),
]
