"""Operators that move, join, drop or repeat values and compute none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from case import STACKED, WINDOW, Case, looped, widened
from elementwise_cases import real
from hypothesis import strategies as st

if TYPE_CHECKING:
    from bare_tail import Tail
    from case import Build
    from hypothesis.strategies import DataObject


def identity(tail: Tail, _data: DataObject) -> str:
    return tail.op("Relu", tail.tested("Identity", real(tail)))


def dropout(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Dropout", real(tail))


def dropout_with_mask(tail: Tail, _data: DataObject) -> list[str]:
    return tail.all_of_tested("Dropout", real(tail), outputs=2)


def cut(tail: Tail, axes: list[int], starts: list[int], ends: list[int], steps: list[int] | None = None) -> str:
    if tail.opset < 10:
        return tail.tested("Slice", real(tail), axes=axes, starts=starts, ends=ends)
    numbers = [np.array(values) for values in (starts, ends, axes, steps) if values is not None]
    return tail.tested("Slice", real(tail), *numbers)


def channels_cut(tail: Tail, data: DataObject) -> str:
    axis = data.draw(st.sampled_from([1, -3]), "axis")
    steps = [2] if tail.opset >= 10 and data.draw(st.booleans(), "every second") else None
    return cut(tail, [axis], [-2], [9], steps)


def nothing_cut(tail: Tail, _data: DataObject) -> str:
    return cut(tail, [0, 1, 2, 3], [0, 0, 0, 0], [2**31] * 4)


def row_cut(tail: Tail, _data: DataObject) -> str:
    return cut(tail, [3, -2], [0, 0], [1, 1])


def flipped(tail: Tail, _data: DataObject) -> str:
    return cut(tail, [3, 2], [-1, -1], [-99, -99], [-1, -1])


def channels_joined(tail: Tail, data: DataObject) -> str:
    axis = data.draw(st.sampled_from([tail.channel_axis, tail.channel_axis - 4]), "axis")
    return tail.tested("Concat", real(tail), tail.x, tail.op("Relu", tail.x), axis=axis)


def constant_joined(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Concat", real(tail), tail.normal(3, 2, *tail.grid), axis=1)


def cells_joined(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Concat", real(tail), tail.x, axis=3)


def images_joined(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Concat", real(tail), tail.x, axis=0)


def transpose(tail: Tail, data: DataObject) -> str:
    perm = data.draw(st.one_of(st.none(), st.permutations(range(4))), "perm")
    moved = tail.tested("Transpose", real(tail), **({} if perm is None else {"perm": list(perm)}))
    return tail.op("Relu", moved)


def reshape(*shape: int) -> Build:
    """0 keeps a length; 98 stands for H * W, 99 for C, 97 for H and 96 for W."""

    def build(tail: Tail, _data: DataObject) -> str:
        meaning = {98: tail.grid[0] * tail.grid[1], 99: tail.channels, 97: tail.grid[0], 96: tail.grid[1]}
        return tail.tested("Reshape", real(tail), np.array([meaning.get(size, size) for size in shape]))

    return build


def windows(tail: Tail, _data: DataObject) -> str:
    """Swin's windows of two rows: ``b (n p) w c -> b n p w c``, moved, and back."""
    doubled = tail.op("Reshape", real(tail), np.array([0, -1, 1, tail.grid[1], tail.channels]))
    moved = tail.op("Transpose", doubled, perm=[0, 2, 3, 1, 4])
    return tail.tested("Reshape", moved, np.array([0, -1, tail.channels]))


def flatten(axis: int) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested("Flatten", real(tail), axis=axis)

    return build


def squeeze(tail: Tail, data: DataObject) -> str:
    axes = data.draw(st.sampled_from([[1], [-3]]), "axes") if tail.opset >= 11 else [1]
    return tail.axes("Squeeze", tail.op("Gather", real(tail), np.array([0]), axis=1), axes, 13)


def squeeze_pooled(tail: Tail, _data: DataObject) -> str:
    return tail.axes("Squeeze", tail.op("GlobalAveragePool", real(tail)), [2, 3], 13)


def unsqueeze(tail: Tail, data: DataObject) -> str:
    axes = data.draw(st.sampled_from([[0], [2], [-1], [1, 4]]), "axes") if tail.opset >= 11 else [1, 4]
    return tail.axes("Unsqueeze", real(tail), axes, 13)


def gather_elements(tail: Tail, _data: DataObject) -> str:
    places = np.zeros((tail.sizes["b"], 1, *tail.grid), np.int64)
    return tail.tested("GatherElements", real(tail), places, axis=1)


def expand(tail: Tail, data: DataObject) -> str:
    shape = data.draw(st.sampled_from([(1, 1, 1), (2, 1, 1, 1, 1), (tail.grid[1],)]), "shape")
    return tail.tested("Expand", real(tail), np.array(shape))


def tile(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Tile", real(tail), np.array([1, 2, 1, 3]))


def pad(tail: Tail, data: DataObject) -> str:
    widths = data.draw(st.sampled_from([[0, 1, 1, 1, 0, 0, 0, 2], [0, 1, 0, 0, 0, 0, 1, 1]]), "pads")
    if tail.opset < 11:
        return tail.tested("Pad", real(tail), pads=widths, value=0.5)
    return tail.tested("Pad", real(tail), np.array(widths), 0.5)


def frame(tail: Tail, data: DataObject) -> str:
    widths = [0, 0, *data.draw(st.sampled_from([(1, 1, 0, 0, 0, 2), (0, 2, 0, 0, 1, 1)]), "pads")]
    if tail.opset < 11:
        return tail.tested("Pad", real(tail), pads=widths, value=0.5)
    return tail.tested("Pad", real(tail), np.array(widths), 0.5)


def pad_named(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Pad", real(tail), np.array([1, 1]), 0.5, np.array([3]))


def resize(tail: Tail, data: DataObject) -> str:
    mode = data.draw(st.sampled_from(["nearest", "linear"]), "mode")
    scales = np.array([1, 1, 2, 2], np.float32)
    if tail.opset < 11:
        return tail.tested("Upsample" if tail.opset < 10 else "Resize", real(tail), scales, mode=mode)
    return tail.tested("Resize", real(tail), tail.weight(np.zeros(0, np.float32)), scales, mode=mode)


def resize_to(tail: Tail, _data: DataObject) -> str:
    sizes = np.array([tail.sizes["b"], tail.channels, 5, 6])
    return tail.tested("Resize", real(tail), "", "", sizes, mode="linear")


def no_rule(op: str) -> Any:
    return widened(f"no rule for {op}")


LAID = widened("it lays cells and channels along one axis")
CASES = [
    Case("Identity", identity),
    Case("Dropout", dropout),
    Case(
        "Dropout",
        dropout_with_mask,
        spot=looped("its mask output is read"),
        stacked=looped("its mask output is read"),
        note="with mask",
    ),
    Case("Slice", channels_cut, opsets=(9, 10, 13)),
    Case("Slice", nothing_cut, window=widened("it drops or turns cells"), note="nothing off"),
    Case("Slice", row_cut, spot=widened("it drops or turns cells"), note="cells", batch=("one",)),
    Case("Slice", flipped, spot=widened("it drops or turns cells"), note="flipped", opsets=(10, 13)),
    Case("Concat", channels_joined),
    Case(
        "Concat",
        constant_joined,
        spot=widened("it joins cells with what no mask changes"),
        note="a constant",
        batch=("three",),
    ),
    Case("Concat", cells_joined, spot=widened("it joins different cells"), note="cells"),
    Case(
        "Concat",
        images_joined,
        spot=widened("it treats images of a batch differently"),
        note="images",
        batch=("any", "three"),
    ),
    Case("Transpose", transpose),
    Case("Reshape", reshape(0, 0, -1), window=LAID, note="tokens"),
    Case("Reshape", reshape(-1, 98, 99), window=LAID, note="tokens of channels last", layout="b h w c"),
    Case("Reshape", reshape(0, 1, 99, 97, 96), note="groups"),
    Case("Reshape", reshape(-1, 97, 96), spot=WINDOW, note="batch and channels", batch=("any",), channels=(2, 3, 4)),
    Case("Reshape", windows, window=LAID, note="windows", layout="b h w c"),
    Case("Flatten", flatten(3), window=LAID, layout="b h w c", batch=("one",)),
    Case("Flatten", flatten(1), note="all", channels=(2, 3, 4)),
    Case("Flatten", flatten(0), spot=LAID, note="batch too", batch=("three",), channels=(2, 3, 4)),
    Case("Squeeze", squeeze, opsets=(9, 11, 13)),
    Case("Squeeze", squeeze_pooled, spot=STACKED, note="pooled", opsets=(11, 13)),
    Case("Unsqueeze", unsqueeze, opsets=(9, 11, 13)),
    Case("GatherElements", gather_elements, spot=no_rule("GatherElements"), since=11, batch=("one", "three")),
    Case("Expand", expand, spot=no_rule("Expand")),
    Case("Tile", tile, spot=no_rule("Tile")),
    Case("Pad", pad, spot=no_rule("Pad"), opsets=(9, 11, 18)),
    Case("Pad", frame, spot=WINDOW, opsets=(9, 11, 18), note="a frame"),
    Case(
        "Pad",
        pad_named,
        spot=looped(".*"),
        stacked=looped("its padding is no constant"),
        opsets=(18,),
        note="named axes",
    ),
    Case("Upsample", resize, spot=no_rule("Upsample"), opsets=(9,)),
    Case("Resize", resize, spot=no_rule("Resize"), opsets=(10, 11, 13, 18)),
    Case(
        "Resize",
        resize_to,
        spot=looped("no rule for Resize"),
        stacked=looped("it names the length of the batch"),
        opsets=(13,),
        note="to a size",
        batch=("one", "three"),
    ),
]
