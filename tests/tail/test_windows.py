"""Windows over maps larger than a kernel: chains of convolutions and pools of any geometry against every masked copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bare_tail import Tail
from carried import carry, naive, start_masked
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from test_laws import assert_exact

from onnx_reciprocam.tail import window_cost
from onnx_reciprocam.tail.pairs import Kernel, every_mask_its_cell, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import DataObject

MANY = examples(10)
SIDES = st.tuples(st.integers(3, 8), st.integers(3, 8))


@pytest.fixture(autouse=True, scope="module")
def lists_are_kept() -> Iterator[None]:
    """On maps this small a window soon covers all, and would be multiplied out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window_cost, "COVERS", 2.0)
        yield


class Geometry:
    """One layer over a map: where it looks, and the map that it leaves."""

    def __init__(self, data: DataObject, grid: tuple[int, int]) -> None:
        self.kernel = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)), "kernel")
        self.strides = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)), "strides")
        self.dilations = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)), "dilations")
        pads = [data.draw(st.integers(0, k - 1), "pad") for k in (*self.kernel, *self.kernel)]
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        ends = [max(pads[i + 2], reach[i] - grid[i] - pads[i]) for i in range(2)]
        self.pads = [*pads[:2], *ends]
        self.out = tuple(
            (grid[i] + self.pads[i] + self.pads[i + 2] - reach[i]) // self.strides[i] + 1 for i in range(2)
        )

    @property
    def attributes(self) -> dict[str, list[int]]:
        return {"strides": list(self.strides), "dilations": list(self.dilations), "pads": self.pads}


def drawn(data: DataObject) -> Tail:
    height, width = data.draw(SIDES, "grid")
    batch, dynamic = data.draw(st.sampled_from([(1, ""), (2, ""), (2, "b")]), "batch")
    sizes = {"b": batch, "c": 4, "h": height, "w": width}
    return Tail(17, "b c h w", sizes, dynamic=dynamic, seed=data.draw(st.integers(0, 99), "seed"))


@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
@given(data=st.data())
@MANY
def test_two_convolutions_of_any_geometry(mask: str, data: DataObject) -> None:
    """With bias, so that the background is not zero, and a Relu between that makes it differ from cell to cell."""
    tail = drawn(data)
    x, grid = tail.x, tail.grid
    for _ in range(2):
        geometry, group = Geometry(data, grid), data.draw(st.sampled_from([1, 2, 4]), "groups")
        weight = tail.normal(4, 4 // group, *geometry.kernel)
        x = tail.op("Relu", tail.op("Conv", x, weight, tail.normal(4), group=group, **geometry.attributes))
        grid = geometry.out[0], geometry.out[1]
    x = tail.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    assert_exact(carry(tail, [x], start_masked(tail, mask)).run()[0], naive(tail, [x], mask)[0])


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
@given(data=st.data())
@MANY
def test_a_pool_of_any_geometry_behind_a_convolution(kind: str, data: DataObject) -> None:
    tail = drawn(data)
    x = tail.op("Conv", tail.x, tail.normal(4, 4, 3, 3), tail.normal(4), pads=[1, 1, 1, 1])
    geometry = Geometry(data, tail.grid)
    assume(all(pad < k for pad, k in zip(geometry.pads, geometry.kernel * 2, strict=True)))
    options: dict[str, object] = dict(geometry.attributes) | {"kernel_shape": list(geometry.kernel)}
    if kind == "AveragePool":
        options = {key: value for key, value in options.items() if key != "dilations"}
        assume(geometry.dilations == (1, 1))
        options["count_include_pad"] = data.draw(st.integers(0, 1), "count_include_pad")
    x = tail.op(kind, x, **options)
    assert_exact(carry(tail, [x], start_masked(tail)).run()[0], naive(tail, [x])[0])


@given(grid=SIDES, data=st.data())
@MANY
def test_products_add_up_where_a_convolution_would_put_them(grid: tuple[int, int], data: DataObject) -> None:
    """The index tables alone: every tap of every pair, summed by table, is a convolution with a kernel of ones."""
    geometry = Geometry(data, grid)
    assume(min(geometry.out) > 0)
    kernel = Kernel(geometry.kernel, geometry.strides, geometry.dilations, tuple(geometry.pads[:2]), geometry.out)
    reached = spread(every_mask_its_cell(*grid), kernel)
    summed = np.zeros((grid[0] * grid[1], *geometry.out), int)
    counts = np.concatenate([np.full(len(table), table.shape[1]) for table in reached.tables] or [[]]).astype(int)
    summed.reshape(len(summed), -1)[reached.pairs.mask, reached.pairs.cell] = counts
    for mask in range(len(summed)):
        row, column = divmod(mask, grid[1])
        for down, right in np.ndindex(geometry.out):
            steps = [down * geometry.strides[0] - geometry.pads[0], right * geometry.strides[1] - geometry.pads[1]]
            hits = [
                any(place == steps[i] + tap * geometry.dilations[i] for tap in range(geometry.kernel[i]))
                for i, place in enumerate((row, column))
            ]
            assert summed[mask, down, right] == all(hits)


def test_a_window_that_covers_the_map_is_multiplied_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a list would move more than whole maps compute; the report says so, and the maps are the same."""
    monkeypatch.setattr(window_cost, "COVERS", 0.7)
    tail = Tail(17, "b c h w", {"b": 1, "c": 4, "h": 3, "w": 3})
    first = tail.op("Conv", tail.x, tail.normal(4, 4, 3, 3), pads=[1, 1, 1, 1])
    second = tail.tested("Conv", tail.op("Relu", first), tail.normal(4, 4, 3, 3), pads=[1, 1, 1, 1])
    carried = carry(tail, [second], start_masked(tail))
    assert carried.kind == ("Stacked", "its window covers 100% of the map")
    assert_exact(carried.run()[0], naive(tail, [second])[0])


@pytest.mark.parametrize("opset", [9, 11, 17])
@pytest.mark.parametrize("grid", [(2, 3), (9, 8)], ids=str)
def test_a_window_is_multiplied_out_once_and_by_no_dense_table(opset: int, grid: tuple[int, int]) -> None:
    tail = Tail(opset, "b c h w", {"b": 2, "c": 4, "h": grid[0], "w": grid[1]}, dynamic="b")
    window = tail.op("Conv", tail.x, tail.normal(4, 4, 3, 3), pads=[1, 1, 1, 1])
    carried = carry(tail, [window, window], start_masked(tail))
    for got, wanted in zip(carried.run(), naive(tail, [window]) * 2, strict=True):
        assert_exact(got, wanted)
    cells = grid[0] * grid[1]
    dense = [tensor for tensor in carried.model.graph.initializer if list(tensor.dims) == [cells * cells]]
    scattered = [node for node in carried.model.graph.node if node.op_type in {"Scatter", "ScatterElements"}]
    assert (len(dense), len(scattered)) == ((1, 0) if grid == (2, 3) else (0, 1))  # few cells are all near all others
