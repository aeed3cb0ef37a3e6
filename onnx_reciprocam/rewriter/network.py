"""The network as the rewriter sees it: where the image enters, what scores classes, which tensors can be explained."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import onnx

from onnx_reciprocam.contract import is_rewritten
from onnx_reciprocam.errors import (
    AlreadyRewrittenError,
    BypassedTargetError,
    NoCellsError,
    NoTargetError,
    UnsupportedModelError,
)
from onnx_reciprocam.graph import bypass, dominators, input_specs, load, probe, reads, taken_apart
from onnx_reciprocam.refusals import BlockedChannelsError, LocalFunctionError
from onnx_reciprocam.rewriter.layout import layouts
from onnx_reciprocam.rewriter.quantised import pairs_behind, rounded_at_once, zero_point
from onnx_reciprocam.rewriter.score import Scores, find_scores
from onnx_reciprocam.tail import multiply_adds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import InputSpec, Model, ModelSource, Shapes
    from onnx_reciprocam.rewriter.layout import Layout, Side

S = TypeVar("S")
BLOCKED = "com.microsoft.nchwc"
"""The domain of operators on maps whose channels lie in blocks."""


@dataclass(frozen=True)
class Target:
    """A tensor with cells that dominates the score.

    Args:
        tensor: Itself.
        layout: Its axes, as einops writes them.
        shape: Its lengths, None where dynamic.
        seen: Its lengths as probed.
        token_grid: Height and width in patches where they lie along one axis, as probed.
        sides: What each of the two is in a run, where the image's size decides.
        zero: What stands for zero in it.
        whole: Whether it holds quantised values, whose zero is their zero point.
    """

    tensor: gs.Tensor
    layout: str
    shape: tuple[int | None, ...]
    seen: tuple[int, ...]
    token_grid: tuple[int, int] | None = None
    sides: tuple[Side | None, Side | None] = (None, None)
    zero: int = 0
    whole: bool = False

    @property
    def _grid_axes(self) -> tuple[int, int]:
        labels = self.layout.split()
        return labels.index("h"), labels.index("w")

    @property
    def grid(self) -> tuple[int | None, int | None]:
        """Height and width in cells, None where dynamic."""
        if self.token_grid is None:
            return self.of_grid(self.shape)
        down, across = (None if side else size for side, size in zip(self.sides, self.token_grid, strict=True))
        return down, across

    @property
    def seen_grid(self) -> tuple[int, int]:
        """Height and width in cells, as probed."""
        return self.token_grid or self.of_grid(self.seen)

    def of_grid(self, sizes: Sequence[S]) -> tuple[S, S]:
        """The lengths of height and width among those of all axes; for maps alone."""
        height, width = self._grid_axes
        return sizes[height], sizes[width]

    @property
    def cells(self) -> int:
        """How many cells, as probed."""
        height, width = self.seen_grid
        return height * width

    @property
    def node(self) -> str:
        """The name of the node that makes it."""
        return str(self.tensor.inputs[0].name or self.tensor.name)


class Network:
    """A plain model with all that is known about it before a target is chosen.

    Args:
        model: The file.
        shapes: Of all its tensors.
        output: Name of the output to explain, or None for the first that scores classes.
    """

    def __init__(self, model: Model, shapes: Shapes, output: str | None) -> None:
        self.model, self.shapes = model, shapes
        specs = input_specs(model)
        self.images: list[InputSpec] = _pictures(specs)
        self.scores: Scores = find_scores(model, shapes, output, self.images)

    @property
    def image(self) -> InputSpec:
        """The input that carries the picture."""
        return next((spec for spec in self.images if spec.spatial), self.images[0])

    @cached_property
    def _paired(self) -> dict[str, gs.Tensor]:
        return pairs_behind(self.model.graph.nodes)

    @cached_property
    def half(self) -> frozenset[str]:
        """The float16 tensors that nodes make."""
        made = (output.name for node in self.model.graph.nodes for output in node.outputs)
        return frozenset(name for name in made if self.shapes.types.get(name) == onnx.TensorProto.FLOAT16)

    @cached_property
    def _dominators(self) -> list[str]:
        return dominators(self.model.graph.nodes, self.image_names, self.scores.logits.name)

    @property
    def image_names(self) -> list[str]:
        """The inputs that take images, the picture first."""
        return sorted((spec.name for spec in self.images), key=lambda name: name != self.image.name)

    @cached_property
    def _layouts(self) -> dict[str, Layout]:
        return layouts(self.model, self.shapes)

    @cached_property
    def targets(self) -> list[Target]:
        """Every tensor that can be explained, from the image to the score.

        Raises:
            NoTargetError: There is none.
        """
        if not self._dominators:
            raise NoTargetError(self.scores.output.name, "it does not depend on the image.")
        blocked = _before_blocks(self.model)
        names = [name for name in self._dominators if name in self._layouts and name not in blocked]
        found = [self._target(name) for name in names if self.model.is_written(name)]
        targets = [target for target in found if target is not None and target.cells > 1]
        if not targets and blocked:
            raise BlockedChannelsError(
                f"{self.model.name} was optimised for one kind of processor: its channels lie in blocks (NCHWc)",
                "Optimise at level extended at most (ORT_ENABLE_EXTENDED), or rewrite the file as it was exported",
            )
        if not targets and self.model.proto.functions and not all(map(self.model.is_written, names)):
            raise LocalFunctionError(
                f"every feature map of {self.model.name} lies inside a local function",
                "Inline the functions first: onnx.inliner.inline_local_functions(model)",
            )
        if not targets:
            raise NoTargetError(self.scores.output.name, self._why_none())
        return targets

    def _target(self, name: str) -> Target | None:
        """The tensor as a target, if zero means something in it and a runtime has to make it."""
        layout, tensor = self._layouts[name], self.model.tensors[name]
        static, seen = self.shapes.static(name), self.shapes.seen[name]
        whole = self.dtype(tensor).kind in "biu"
        zero = zero_point(self.model, tensor) if whole else 0
        if zero is None or (not whole and self._rounded(tensor) is not None) or name in self._paired:
            return None
        return Target(tensor, layout.text, static, seen, layout.grid, layout.sides, zero, whole)

    def _rounded(self, tensor: gs.Tensor) -> gs.Tensor | None:
        """The quantised values that stand for a float: masked there, they are what the float is when masked."""
        rounded = rounded_at_once(tensor)
        return None if rounded is None or zero_point(self.model, rounded) is None else rounded

    def _why_none(self) -> str:
        """What the feature maps are that all paths go through."""
        nodes = [self.model.tensors[name].inputs[0] for name in self._dominators if self.model.tensors[name].inputs]
        axes = {len(self.shapes.seen[node.outputs[0].name]) - 2 for node in nodes if node.op == "Conv"} - {2}
        if axes:
            return f"its feature maps are {min(axes)}-D; only 2-D ones, over height and width, are masked."
        return "no feature map of more than one cell carries all that it knows of the image."

    def find(self, name: str) -> Target:
        """The target that a node's or tensor's name means.

        Raises:
            NodeNotFoundError: Nothing has that name.
            BypassedTargetError: The score depends on the image past it.
            NoCellsError: It has no cells.
            UnsupportedModelError: Reading it would change predictions.
        """
        tensor = self.model.find(name)
        tensor = self._rounded(tensor) or tensor
        known = {target.tensor.name: target for target in self.targets}
        if tensor.name in known:
            return known[tensor.name]
        nearest = self._nearest(tensor.name)
        if tensor.name not in self._dominators:
            raise BypassedTargetError(name, self._detour(tensor.name), nearest)
        if tensor.name in self._paired:
            raise UnsupportedModelError(
                f"onnxruntime merges the quantisation of {name!r} with the one behind it, and predicts otherwise if it cannot",
                f"Take {self._paired[tensor.name].name!r} instead",
            )
        raise NoCellsError(name, self.shapes.static(tensor.name), nearest)

    def _detour(self, name: str) -> list[str]:
        """The stretch of a path past ``name`` from the last tensor that all paths share before it to the next."""
        path = bypass(self.model.graph.nodes, self.image_names, self.scores.logits.name, name)
        shared = [i for i, step in enumerate(path) if step in self._dominators]
        place = self._order.get(name, -1)
        start = max((i for i in shared if self._order.get(path[i], -1) <= place), default=0)
        end = min((i for i in shared if i > start), default=len(path) - 1)
        return path[start : end + 1]

    @cached_property
    def _order(self) -> dict[str, int]:
        """Where in the file each tensor is made."""
        return {tensor.name: i for i, node in enumerate(self.model.graph.nodes) for tensor in node.outputs}

    def _nearest(self, name: str) -> list[str]:
        """The last target before ``name`` in the file's order and the first behind it."""
        place = self._order.get(name, -1)
        before = [target.node for target in self.targets if self._order[target.tensor.name] < place]
        behind = [target.node for target in self.targets if self._order[target.tensor.name] > place]
        return [*before[-1:], *behind[:1]]

    @property
    def cost(self) -> int:
        """Multiply-adds of the plain model for the probed batch, see :attr:`batch`."""
        seen = self.shapes.seen
        return sum(
            multiply_adds(node, lambda tensor: seen.get(tensor.name) or tuple(tensor.shape))
            for node in self.model.graph.nodes
        )

    @property
    def batch(self) -> int:
        """How many images the probe ran."""
        return self.shapes.inputs[self.image.name][0]

    def dtype(self, tensor: gs.Tensor) -> np.dtype[np.generic]:
        """The element type of a tensor; float32 where inference does not know."""
        number = self.shapes.types.get(tensor.name, onnx.TensorProto.FLOAT)
        return onnx.helper.tensor_dtype_to_np_dtype(number)


def _pictures(specs: list[InputSpec]) -> list[InputSpec]:
    """The inputs that can hold images: those with height and width, or else with any grid, or else all."""
    return next((fit for least in (4, 3, 0) if (fit := [spec for spec in specs if len(spec.shape) >= least])), specs)


def _before_blocks(model: Model) -> set[str]:
    """Tensors ahead of an operator whose channels lie in blocks: what it reads, cell by cell, is not where it seems."""
    before: set[str] = set()
    for node in reversed(model.graph.nodes):
        if node.domain == BLOCKED or any(output.name in before for output in node.outputs):
            before.update(reads(node))
    return before


def study(source: ModelSource, output: str | None = None, size: tuple[int, int] | None = None) -> Network:
    """Load a plain model and learn what a rewrite needs.

    Args:
        source: Path, bytes or ``ModelProto``.
        output: The output to explain.
        size: Height and width to try where the file declares none.

    Raises:
        AlreadyRewrittenError: It has maps already.
        ReciprocamError: See :func:`~onnx_reciprocam.graph.load`, :func:`~onnx_reciprocam.graph.probe` and
            :func:`~.score.find_scores`.
    """
    model = load(source)
    if is_rewritten({entry.key: entry.value for entry in model.proto.metadata_props}):
        raise AlreadyRewrittenError(model.name)
    shapes = probe(model, size)
    if (view := taken_apart(model.view, shapes, model.opset)) is not None:
        model = model.viewed(view)
        shapes = probe(model, size)
    return Network(model, shapes, output)
