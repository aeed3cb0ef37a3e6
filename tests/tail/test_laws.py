"""What ReciproCAM is by its definition, whatever the network behind the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bare_tail import TARGET, Tail
from carried import assert_same, carry, naive, open_tail, session, start_masked
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_network import grow, grow_cellwise

from onnx_reciprocam.contract import Score
from onnx_reciprocam.methods.reciprocam import class_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASKS = ("pixel", "gaussian", "replicated")
SOME = examples(5)
KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16


def drawn(data: st.DataObject, opsets: tuple[int, ...] = (9, 11, 13, 17)) -> Tail:
    batch, dynamic = data.draw(st.sampled_from([(1, ""), (3, ""), (3, "b")]), "batch")
    grid = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda g: g != (1, 1)), "grid")
    sizes = {"b": batch, "c": data.draw(st.integers(1, 4), "channels"), "h": grid[0], "w": grid[1]}
    layout = data.draw(st.sampled_from(["b c h w", "b h w c"]), "layout")
    opset = data.draw(st.sampled_from(opsets), "opset")
    return Tail(opset, layout, sizes, dynamic=dynamic, seed=data.draw(st.integers(0, 999), "seed"))


def assert_exact(got: NDArray[Any], wanted: NDArray[Any]) -> None:
    """The contract's tolerance, for scores ``[N, B, classes]``."""
    spread = np.mean(wanted.max(0) - wanted.min(0))
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * spread + 1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("mask", MASKS)
@given(data=st.data())
@SOME
def test_a_random_network_equals_its_masked_copies(mask: str, data: st.DataObject) -> None:
    tail = drawn(data)
    logits = grow(tail, data)
    wanted = naive(tail, [logits], mask)[0]
    assert_exact(carry(tail, [logits], start_masked(tail, mask)).run()[0], wanted)
    if mask == "pixel":
        assert_exact(carry(tail, [logits], start_masked(tail, slow=True)).run()[0], wanted)


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
@given(data=st.data())
@settings(max_examples=150)
def test_many_random_networks_equal_their_masked_copies(mask: str, data: st.DataObject) -> None:
    tail = drawn(data)
    logits = grow(tail, data)
    carried = carry(tail, [logits], start_masked(tail, mask))
    assert_exact(carried.run()[0], naive(tail, [logits], mask)[0])


@given(data=st.data())
@SOME
def test_cells_of_a_cellwise_tail_sum_to_the_unmasked_score(data: st.DataObject) -> None:
    """The sum over n of ``y_n - y_0`` is ``y - y_0``, with ``y_0`` the answer to an empty map (for a linear tail, b)."""
    tail = drawn(data)
    logits = grow_cellwise(tail, data)
    masked = carry(tail, [logits], start_masked(tail)).run()[0].astype(np.float64)
    plain = session(tail.model([logits]))
    full = plain.run(None, {"image": tail.features})[0].astype(np.float64)
    empty = plain.run(None, {"image": np.zeros_like(tail.features)})[0].astype(np.float64)
    np.testing.assert_allclose((masked - empty).sum(0), full - empty, rtol=1e-4, atol=1e-5 * len(masked))


@given(data=st.data())
@SOME
def test_a_cellwise_tail_is_never_copied(data: st.DataObject) -> None:
    """Every node ends as ``Spot``, or as what an average made of it, for no reason but the average."""
    tail = drawn(data)
    logits = grow_cellwise(tail, data)
    notes = carry(tail, [logits], start_masked(tail)).walk.notes
    assert not [note for note in notes if note.widened]


def scored(tail: Tail, logits: str, mask: str, score: Score) -> NDArray[Any]:
    """``[B, classes, N]`` as a rewrite computes them."""
    walk = open_tail(tail, [logits])
    walk.start(start_masked(tail, mask)(walk))
    values = class_scores(walk, walk.model.tensors[logits], None, score, squashed=False)
    result = walk.branch.op("Identity", values)
    model = walk.model.appended(walk.branch.export([], [result]), {})
    value: NDArray[Any] = session(model).run([result.name], {"image": tail.features})[0]
    return value


def neighbours(height: int, width: int) -> NDArray[np.float64]:
    """``[N, N]``: the kernel's weight of cell m when it is centred at cell n."""
    rows, columns = np.divmod(np.arange(height * width), width)
    down = np.subtract.outer(rows, rows)
    right = np.subtract.outer(columns, columns)
    near = (np.abs(down) <= 1) & (np.abs(right) <= 1)
    return np.where(near, KERNEL[np.clip(down, -1, 1) + 1, np.clip(right, -1, 1) + 1], 0)


def by_formula(
    cam: NDArray[np.float64], bias: NDArray[np.float64], mask: str, grid: tuple[int, int]
) -> NDArray[np.float64]:
    """The maps of a pooled linear tail from its CAM ``[B, classes, N]``, as the papers' algebra gives them."""
    weights = neighbours(*grid)
    seen = {"pixel": cam, "replicated": cam * weights.sum(1), "gaussian": cam @ weights.T}[mask]
    return np.asarray(bias[:, None] + seen / (grid[0] * grid[1]))


def softmax(x: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


@pytest.mark.parametrize("score", Score)
@pytest.mark.parametrize("mask", MASKS)
@given(data=st.data())
@SOME
def test_a_pooled_linear_tail_is_cam(mask: str, score: Score, data: st.DataObject) -> None:
    tail = drawn(data)
    classes = data.draw(st.sampled_from([1, 3]), "classes")
    weight, bias = tail.normal(classes, tail.channels), tail.normal(classes)
    axes = [2, 3] if tail.layout == "b c h w" else [1, 2]
    vector = tail.op("ReduceMean", TARGET, axes=axes, keepdims=0)
    logits = tail.op("Gemm", vector, weight, bias, transB=1)
    first = np.moveaxis(tail.features, tail.channel_axis, 1).reshape(tail.sizes["b"], tail.channels, -1)
    cam = np.einsum("kc,bcn->bkn", weight.astype(np.float64), first)
    wanted = by_formula(cam, bias.astype(np.float64), mask, tail.grid)
    if score is Score.PROBABILITY:
        wanted = softmax(wanted, 1) if classes > 1 else sigmoid(wanted)
    np.testing.assert_allclose(scored(tail, logits, mask, score), wanted, rtol=1e-5, atol=1e-6)


def test_replicated_weights_are_one_inside_and_less_at_the_border() -> None:
    """k = 1 inside, 3/4 on an edge, 9/16 in a corner."""
    sums = neighbours(3, 3).sum(1).reshape(3, 3)
    np.testing.assert_array_equal(sums, [[9 / 16, 3 / 4, 9 / 16], [3 / 4, 1, 3 / 4], [9 / 16, 3 / 4, 9 / 16]])


@pytest.mark.parametrize("kind", ["AveragePool", "Slice"])
def test_what_fits_the_probed_grid_alone_is_no_whole_map(kind: str) -> None:
    """A window or slice of 3 x 3 cells covers the map that the probe saw, and a part of the one that the file meets."""
    tail = Tail(13, "b c h w", {"b": 2, "c": 3, "h": 3, "w": 3}, dynamic="bhw")
    if kind == "Slice":
        part = tail.tested("Slice", tail.x, np.array([0, 0]), np.array([3, 3]), np.array([2, 3]))
    else:
        part = tail.tested("AveragePool", tail.x, kernel_shape=[3, 3])
    outputs = [tail.op("GlobalMaxPool", part)]
    carried = carry(tail, outputs, start_masked(tail))
    tail.sizes.update(h=4, w=5)
    tail.features = tail.normal(2, 3, 4, 5)
    assert_same(carried.run(), naive(tail, outputs))


@pytest.mark.parametrize("mask", MASKS)
@given(grid=st.tuples(st.integers(2, 4), st.integers(1, 4)), layout=st.sampled_from(["b c h w", "b h w c"]))
def test_an_open_grid_is_read_when_the_file_runs(mask: str, grid: tuple[int, int], layout: str) -> None:
    """One file, any height and width: a pool behind cell-wise and spatial layers."""
    tail = Tail(13, layout, {"b": 2, "c": 3, "h": grid[0], "w": grid[1]}, dynamic="bhw")
    x = tail.op("Transpose", tail.x, perm=[0, 3, 1, 2]) if layout == "b h w c" else tail.x
    pointwise = tail.op("Relu", tail.op("Conv", x, tail.normal(4, 3, 1, 1)))
    spatial = tail.op("Conv", pointwise, tail.normal(2, 4, 3, 3), tail.normal(2), pads=[1, 1, 1, 1])
    outputs = [tail.op("GlobalAveragePool", pointwise), tail.op("GlobalMaxPool", spatial)]
    carried = carry(tail, outputs, start_masked(tail, mask))
    wanted = naive(tail, outputs, mask)
    assert_same(carried.run()[:1], wanted[:1])
    assert_exact(carried.run()[1], wanted[1])
