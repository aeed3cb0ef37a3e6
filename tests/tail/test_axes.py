"""The axes of a term against numpy: every cell is labelled with its number, and moved by numpy itself."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, example, given
from hypothesis import strategies as st

from onnx_reciprocam.tail.axes import (
    Axes,
    Factor,
    axes_of,
    cell_axes,
    cell_factors,
    in_order,
    is_pure,
    permute,
    regroup,
    resized,
    rest_shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MANY = examples(50)
LAYOUTS = st.sampled_from(["b c h w", "b h w c", "h w b c", "b h c w"])
SIZES = st.fixed_dictionaries({letter: st.integers(1, 6) for letter in "bchw"})


def steps(factor: Factor) -> NDArray[np.int64]:
    """How far along its logical axis each step of the factor is."""
    return np.arange(factor.size) * factor.stride


def positions(axes: Axes, label: str) -> NDArray[np.int64]:
    """Where every entry of a tensor with these axes lies along logical axis ``label``."""
    factors = [factor for axis in axes for factor in axis]
    grids = np.meshgrid(*(steps(f) * (f.label == label) for f in factors), indexing="ij")
    total = np.asarray(sum(grids, np.zeros((), np.int64)))
    return total.reshape([math.prod(f.size for f in axis) for axis in axes])


def labelled(layout: str, sizes: dict[str, int], label: str) -> NDArray[np.int64]:
    """A fresh tensor whose entries say where they lie along ``label``."""
    letters = layout.split()
    shape = [-1 if letter == label else 1 for letter in letters]
    return np.broadcast_to(np.arange(sizes[label]).reshape(shape), [sizes[letter] for letter in letters]).copy()


def fresh(layout: str, sizes: dict[str, int]) -> Axes:
    return axes_of(layout, [sizes[letter] for letter in layout.split()])


def assert_tracked(
    axes: Axes, layout: str, sizes: dict[str, int], move: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    """The axes say of every entry what numpy says of it; a logical axis of length 1 says nothing."""
    for label in (label for label in "bchw" if sizes[label] > 1):
        np.testing.assert_array_equal(positions(axes, label), move(labelled(layout, sizes, label)))


def divisors(size: int) -> list[int]:
    return [d for d in range(1, size + 1) if size % d == 0]


@st.composite
def cut_shapes(draw: st.DrawFn, shape: tuple[int, ...]) -> list[int]:
    """``shape`` with axes cut in two and ones strewn in."""
    result: list[int] = []
    for size in shape:
        major = draw(st.sampled_from(divisors(size)))
        result += [major, size // major, *([1] if draw(st.booleans()) else [])]
    return result


@st.composite
def merged(draw: st.DrawFn, shape: list[int]) -> list[int]:
    """``shape`` with neighbours merged."""
    result = [1]
    for size in shape:
        if draw(st.booleans()):
            result[-1] *= size
        else:
            result.append(size)
    return result


@given(layout=LAYOUTS, sizes=SIZES, data=st.data())
@MANY
def test_moves_are_tracked(layout: str, sizes: dict[str, int], data: st.DataObject) -> None:
    """Cut, transpose, and merge what is left of it: whatever axes come out, numpy agrees."""
    axes = fresh(layout, sizes)
    cut = data.draw(cut_shapes(tuple(sizes[letter] for letter in layout.split())))
    parts = regroup(axes, cut)
    assert parts is not None
    assert_tracked(parts, layout, sizes, lambda x: x.reshape(cut))
    perm = data.draw(st.permutations(range(len(cut))))
    moved = permute(parts, perm)
    assert_tracked(moved, layout, sizes, lambda x: x.reshape(cut).transpose(perm))
    whole = data.draw(merged([cut[i] for i in perm]))
    joined = regroup(moved, whole)
    assert joined is not None
    assert_tracked(joined, layout, sizes, lambda x: x.reshape(cut).transpose(perm).reshape(whole))


@given(layout=LAYOUTS, sizes=SIZES, data=st.data())
@MANY
def test_any_reshape_is_tracked_or_refused(layout: str, sizes: dict[str, int], data: st.DataObject) -> None:
    total = math.prod(sizes.values())
    first = data.draw(st.sampled_from(divisors(total)))
    second = data.draw(st.sampled_from(divisors(total // first)))
    shape = (first, second, total // first // second)
    if (axes := regroup(fresh(layout, sizes), shape)) is not None:
        assert_tracked(axes, layout, sizes, lambda x: x.reshape(shape))


@pytest.mark.parametrize(
    ("layout", "shape", "new"),
    [
        ("b c h w", (2, 3, 4, 5), (2, 4, 15)),
        ("b c h w", (2, 3, 4, 5), (3, 2, 20)),
        ("b h w c", (1, 3, 2, 4), (2, 12)),
        ("b c h w", (2, 3, 4, 5), (2, 3, 4)),
        ("b c h w", (2, 3, 4, 5), (2, 3, 4, 5, 2)),
    ],
)
def test_a_reshape_across_factors_is_refused(layout: str, shape: tuple[int, ...], new: tuple[int, ...]) -> None:
    assert regroup(axes_of(layout, shape), new) is None


@given(size=st.integers(1, 24), stride=st.integers(1, 5), data=st.data())
def test_a_split_walks_the_same_steps(size: int, stride: int, data: st.DataObject) -> None:
    major, minor = Factor("h", size, stride).split(data.draw(st.sampled_from(divisors(size))))
    both = [a + b for a, b in product(steps(major), steps(minor))]
    np.testing.assert_array_equal(both, np.arange(size) * stride)


@given(layout=LAYOUTS, sizes=SIZES, data=st.data())
@MANY
def test_cells_in_order_count_row_by_row(layout: str, sizes: dict[str, int], data: st.DataObject) -> None:
    """Bringing the cell factors into their order yields 0, 1, ..., H * W - 1."""
    cut = data.draw(cut_shapes(tuple(sizes[letter] for letter in layout.split())))
    parts = regroup(fresh(layout, sizes), cut)
    assert parts is not None
    factors = cell_factors(permute(parts, data.draw(st.permutations(range(len(cut))))))
    scale = {"h": sizes["w"], "w": 1}
    ordered = [factors[i] for i in in_order(factors)]
    cells = [sum(parts) for parts in product(*(steps(f) * scale[f.label] for f in ordered))]
    np.testing.assert_array_equal(cells, np.arange(sizes["h"] * sizes["w"]))


@given(layout=LAYOUTS, sizes=SIZES, data=st.data())
@MANY
@example("b h w c", {"b": 1, "c": 3, "h": 4, "w": 1}, None)
def test_pure_axes_broadcast_a_resting_vector(layout: str, sizes: dict[str, int], data: st.DataObject | None) -> None:
    """Where no axis mixes kinds, what differs between channels alone fits into the rest's shape."""
    shape = tuple(sizes[letter] for letter in layout.split())
    new = data.draw(merged(data.draw(cut_shapes(shape)))) if data else [1, 4, 3]
    axes = regroup(fresh(layout, sizes), new)
    assume(axes is not None and all(map(is_pure, axes)))
    channels = labelled(layout, sizes, "c").reshape(new)
    lengths = rest_shape(axes or ())
    resting = channels[tuple(slice(length) for length in lengths)]
    np.testing.assert_array_equal(np.broadcast_to(resting, new), channels)
    assert all(lengths[i] == 1 for i in cell_axes(axes or ()))


def test_resized_keeps_cells_and_lets_channels_change() -> None:
    axes = axes_of("b c h w", (2, 3, 4, 5))
    changed = resized(axes, (2, 7, 4, 5))
    assert changed is not None
    assert rest_shape(changed) == (1, 7, 1, 1)
    assert cell_axes(changed) == (2, 3)
    assert resized(axes, (2, 3, 4, 4)) is None
    assert resized(axes, (2, 3, 4, 5, 1)) is None
