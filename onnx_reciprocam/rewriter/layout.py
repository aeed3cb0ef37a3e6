"""Which axes of a tensor are batch, channels and cells: followed from convolutions and image patches, not guessed by size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from onnx_reciprocam.graph import input_specs
from onnx_reciprocam.tail.axes import BATCH, Axes, Factor, axes_of, permute, regroup
from onnx_reciprocam.tail.cost import PRODUCTS
from onnx_reciprocam.tail.registry import BIASED, ELEMENTWISE, NORMALISING, PASSING, REDUCING, REGROUPING, operator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Model, Shapes
    from onnx_reciprocam.tail.axes import Axis

MAPS = ("b c h w", "b h w c")
"""Layouts of feature maps whose cells can be masked."""
CHANNELS_FIRST = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization"}
    | {"LRN", "DepthToSpace", "SpaceToDepth", "BatchNormalization", "LpPool", "com.microsoft:FusedConv", "QLinearConv"}
    | {"ConvInteger", "com.microsoft:QLinearAveragePool", "com.microsoft:QLinearGlobalAveragePool"}
)
"""Operators that ONNX defines on ``b c h w``."""
STILL = frozenset(
    {*ELEMENTWISE, *BIASED, *PASSING, *NORMALISING, "QuantizeLinear", "DequantizeLinear", "Concat", "QLinearConcat"}
)
"""Operators, beside products, that leave an axis as long as it was whatever the image's size; a Pad may do so for some."""
GRIDS = (("h", "w"), ("y", "x"))
"""Labels of the factors that patches are made of: cells of a map, or the image's own pixels."""


@dataclass(frozen=True)
class Side:
    """Height or width of a grid that the image's size decides: a tensor's length along ``axis``, by ``step``."""

    tensor: str
    axis: int
    step: int


@dataclass(frozen=True)
class Layout:
    """How a tensor lays out its cells.

    Args:
        text: Its axes as einops writes them: ``b c h w``, ``b 1+hw c``, ...
        grid: Height and width where the cells lie along one axis, as probed; None for maps, whose shape tells.
        sides: What each of the two is in a run, where the image's size decides.
    """

    text: str
    grid: tuple[int, int] | None = None
    sides: tuple[Side | None, Side | None] = (None, None)


@dataclass(frozen=True)
class Patches(Factor):
    """All tokens along one axis: the patches of a grid, and others around them."""

    before: int = 0
    after: int = 0
    grid: tuple[int, int] = (1, 1)
    sides: tuple[Side | None, Side | None] = (None, None)

    def cut(self, start: int, stop: int) -> Axis | None:
        """Tokens ``start`` to ``stop``, if all patches are among them."""
        before, after = self.before - start, self.after - (self.size - stop)
        return None if min(before, after) < 0 else (replace(self, size=stop - start, before=before, after=after),)


def layouts(model: Model, shapes: Shapes) -> dict[str, Layout]:
    """The layout of every tensor whose cells can be masked."""
    return _Follower(model, shapes).layouts()


def _pixels(name: str, model: Model, shape: Sequence[int]) -> Axes:
    """The axes of an image. Its pixels are no cells: only patches of it can be."""
    down, across = next(spec.spatial for spec in input_specs(model) if spec.name == name)
    labels = {0: BATCH, down: "y", across: "x"}
    return tuple((Factor(labels.get(i, "c"), size, 1, (name, i)),) for i, size in enumerate(shape))


def _map(name: str, shape: Sequence[int]) -> Axes:
    """The axes of a feature map."""
    axes = axes_of("b c h w", shape)
    return (*axes[:2], *((replace(axis[0], origin=(name, i)),) for i, axis in enumerate(axes[2:], start=2)))


class _Follower:
    """The axes of all tensors that are known, node after node."""

    def __init__(self, model: Model, shapes: Shapes) -> None:
        self._model, self._shapes = model, shapes
        images = {name: shape for name, shape in shapes.inputs.items() if len(shape) == 4}
        self._images = next((shape[0] for shape in (*images.values(), *shapes.inputs.values()) if shape), 1)
        self._known = {name: _pixels(name, model, shape) for name, shape in images.items()}

    def layouts(self) -> dict[str, Layout]:
        """Of the tensors that nodes make."""
        found: dict[str, Layout] = {}
        for node in self._model.graph.nodes:
            for i, output in enumerate(node.outputs):
                if output.name in self._shapes.seen and (axes := self._axes(node, i)) is not None:
                    self._known[output.name] = axes
                    if (layout := _named(axes)) is not None and self._is_told(layout, output.name):
                        found[output.name] = self._settled(layout)
        return found

    def _is_told(self, layout: Layout, name: str) -> bool:
        """Whether every run can tell the grid: lengths that the image's size decides can be read from opset 10 on."""
        place = next((i for i, label in enumerate(layout.text.split()) if "hw" in label), None)
        known = place is None or self._shapes.static(name)[place] is not None
        return known or (None not in layout.sides and self._model.opset >= 10)

    def _settled(self, layout: Layout) -> Layout:
        """With the sides alone that some runs have longer than others."""
        down, across = (None if side is None or self._is_fixed(side) else side for side in layout.sides)
        return replace(layout, sides=(down, across))

    def _is_fixed(self, side: Side) -> bool:
        return self._shapes.static(side.tensor)[side.axis] is not None

    def _axes(self, node: gs.Node, i: int) -> Axes | None:
        """The axes of output ``i`` of ``node``, if those of its inputs tell."""
        op, shape = operator(node), self._shapes.seen[node.outputs[i].name]
        sources = [self._known[tensor.name] for tensor in node.inputs if tensor.name in self._known]
        if op in CHANNELS_FIRST and len(shape) == 4:  # patches of each image may stand where images do: no map of one
            return _map(node.outputs[i].name, shape) if shape[0] == self._images else None
        if op == "Transpose" and sources:
            return permute(sources[0], node.attrs.get("perm") or list(range(len(sources[0])))[::-1])
        if op in REGROUPING and sources:
            return regroup(sources[0], shape)
        if op in REDUCING and sources:
            return self._reduced(node, sources[0], shape)
        sources = [axes for axes in sources if len(axes) == len(shape)]
        return self._in_place(node, i, sources, shape) if sources else None

    def _reduced(self, node: gs.Node, axes: Axes, shape: Sequence[int]) -> Axes | None:
        """The axes that are left; what a reduced one ran over is gone, as far as it is cut into cells too."""
        given = node.attrs.get("axes") or (self._model.constant(node.inputs[1]) if len(node.inputs) > 1 else None)
        if given is None:
            return None
        gone = {int(axis) % len(axes) for axis in given}
        if len(shape) == len(axes):
            return tuple((Factor("", 1),) if i in gone else axis for i, axis in enumerate(axes))
        return tuple(axis for i, axis in enumerate(axes) if i not in gone)

    def _in_place(self, node: gs.Node, i: int, sources: Sequence[Axes], shape: Sequence[int]) -> Axes:
        """The axes after an operator that moves none of them."""
        axes = _relabelled(sources, shape)
        if operator(node) not in STILL and node.op not in PRODUCTS:
            axes = tuple(tuple(replace(factor, origin=None) for factor in axis) for axis in axes)
        if node.op in {"Concat", "QLinearConcat"}:
            return self._joined(node, axes, shape)
        if node.op in {"Slice", "Split"}:
            return self._cut(node, i, sources[0], shape) or axes
        return (*axes[:-1], (Factor("c", shape[-1]),)) if node.op in PRODUCTS else axes

    def _joined(self, node: gs.Node, axes: Axes, shape: Sequence[int]) -> Axes:
        """Patches with tokens before or after them; otherwise the axis that grows keeps its label."""
        axis = node.attrs["axis"] % len(shape)
        ahead, found = 0, []
        for tensor in node.inputs if node.op == "Concat" else node.inputs[2::3]:
            size = (self._shapes.seen.get(tensor.name) or tuple(tensor.shape))[axis]
            if tensor.name in self._known and (patches := _patches(self._known[tensor.name], axis)) is not None:
                found.append((ahead, size, patches))
            ahead += size
        if len(found) != 1:
            return axes
        start, size, patches = found[0]
        ends = patches.before + start, patches.after + shape[axis] - start - size
        joined = replace(patches, size=shape[axis], before=ends[0], after=ends[1])
        return (*axes[:axis], (joined,), *axes[axis + 1 :])

    def _cut(self, node: gs.Node, i: int, axes: Axes, shape: Sequence[int]) -> Axes | None:
        """Patches with fewer tokens around them."""
        changed = [k for k, size in enumerate(shape) if size != _length(axes[k])]
        patches = _patches(axes, changed[0]) if len(changed) == 1 else None
        if patches is None:
            return None
        start = self._start(node, i, changed[0], patches.size)
        kept = None if start is None else patches.cut(start, start + shape[changed[0]])
        return None if kept is None else (*axes[: changed[0]], kept, *axes[changed[0] + 1 :])

    def _start(self, node: gs.Node, i: int, axis: int, total: int) -> int | None:
        """Where a Split or a Slice with constant bounds begins."""
        if node.op == "Split":
            return sum(self._shapes.seen[output.name][axis] for output in node.outputs[:i])
        starts = node.attrs.get("starts") or self._model.constant(node.inputs[1])
        steps = self._model.constant(node.inputs[4]) if len(node.inputs) > 4 else None
        if starts is None or len(starts) != 1 or (steps is not None and steps.tolist() != [1]):
            return None
        return range(total)[int(starts[0]) :].start


def _relabelled(sources: Sequence[Axes], shape: Sequence[int]) -> Axes:
    """The axes of the sources, of each the one that says most, with other lengths: a pad, a slice."""
    result = []
    for i, size in enumerate(shape):
        fitting = [axes[i] for axes in sources if _length(axes[i]) == size]
        label = sources[0][i][0].label if len(sources[0][i]) == 1 else ""
        result.append(max(fitting, key=_says, default=(Factor(label, size),)))
    return tuple(result)


def _says(axis: Axis) -> tuple[bool, bool, bool]:
    labels = [factor.label for factor in axis]
    return any(isinstance(factor, Patches) for factor in axis), labels == [BATCH], any(labels)


# tokens -------------------------------------------------------------------------------------------------------------


def _patches(axes: Axes, i: int) -> Patches | None:
    """What axis ``i`` runs over, if that is all patches of a grid in row-major order."""
    axis = axes[i]
    if len(axis) == 1 and isinstance(axis[0], Patches):
        return axis[0]
    for down, across in GRIDS:
        rows, columns = ([f for f in axis if f.label == label] for label in (down, across))
        others = [factor for j, other in enumerate(axes) if j != i for factor in other]
        whole = all(_is_major(part, others) for part in (rows, columns))
        if whole and list(axis) == [*rows, *columns]:
            grid = _length(rows), _length(columns)
            return Patches("t", math.prod(grid), grid=grid, sides=(_side(rows), _side(columns)))
    return None


def _is_major(factors: Sequence[Factor], others: Iterable[Factor]) -> bool:
    """Whether these are the outermost steps along their logical axis, in order."""
    strides = [factor.stride for factor in factors]
    inside = [factor.stride for factor in others if factors and factor.label == factors[0].label]
    return bool(factors) and strides == sorted(strides, reverse=True) and all(s < strides[-1] for s in inside)


def _side(factors: Sequence[Factor]) -> Side | None:
    """What these are along the whole of, if that is known."""
    origin = factors[0].origin
    return None if origin is None else Side(*origin, factors[-1].stride)


def _length(factors: Sequence[Factor]) -> int:
    return math.prod(factor.size for factor in factors)


# spelling -----------------------------------------------------------------------------------------------------------


def _named(axes: Axes) -> Layout | None:
    """The layout, if its cells can be masked."""
    text = " ".join(axis[0].label if len(axis) == 1 else "?" for axis in axes)
    if text in MAPS:
        return Layout(text)
    return _token_layout(axes) if len(axes) == 3 else None


def _token_layout(axes: Axes) -> Layout | None:
    """``b 1+hw c`` in any order."""
    found = {i: patches for i in range(3) if (patches := _patches(axes, i)) is not None}
    if len(found) != 1:
        return None
    place, patches = next(iter(found.items()))
    labels = ["b" if _is_batch(axis) else "c" for axis in axes]
    others = [label for i, label in enumerate(labels) if i != place]
    labels[place] = "+".join([*_spelled(patches.before), "hw", *_spelled(patches.after)])
    return Layout(" ".join(labels), patches.grid, patches.sides) if sorted(others) == ["b", "c"] else None


def _is_batch(axis: Axis) -> bool:
    """Images alone; some reshapes leave a batch of one without a factor, or with another of length one."""
    return all(factor.label == BATCH for factor in axis if factor.size > 1)


def _spelled(count: int) -> list[str]:
    return [str(count)] if count else []
