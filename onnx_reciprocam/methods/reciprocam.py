"""ReciproCAM: every cell of a feature map kept alone, the tail asked what it scores.

Source: Byun & Lee, arXiv:2209.14074 (feature maps); Byun & Lee, arXiv:2310.02588 (the Gaussian mask).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Mask, Score
from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.open_grid import gaussian_weights
from onnx_reciprocam.methods.token_masks import is_tokens, masked_tokens
from onnx_reciprocam.tail import (
    Spot,
    Stacked,
    Window,
    all_classes,
    axes_of,
    choose,
    neighbours,
    one_image,
    pick,
    rest_shape,
)
from onnx_reciprocam.tail.axes import cell_axes

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.methods.scene import Scene
    from onnx_reciprocam.tail import Axes, Term, Walk


class ReciproCAM(InGraph):
    """Every cell of the target kept alone, in one run, with no gradient.

    At a mean over cells and a linear layer ``y_n = b_c + CAM_c(n) / N``: CAM, up to a shift and a scale.
    """

    name = "reciprocam"
    title = "ReciproCAM"
    formula = "y_n = score of class c when only cell n of A is kept"
    paper = "Byun & Lee, 2022, arXiv:2209.14074; for ViTs 2023, arXiv:2310.02588"
    needs = (Needs.CELLS,)
    masks = True

    def maps(self, scene: Scene) -> gs.Tensor:
        """Section 3; in one lot of cells per walk."""
        options, probabilities = scene.options, scene.probabilities
        axes = axes_of(scene.layout, scene.walk.seen(scene.target))
        for walk in scene.walks:
            dtype = scene.dtype(scene.target)
            walk.start(masked(walk, axes, options.mask, dtype, zero=scene.zero, naive=scene.naive))
            if scene.norm is not None:
                dtype = scene.dtype(scene.norm)
                walk.start(masked_tokens(walk, scene.norm, axes, options.mask, dtype, naive=scene.naive), scene.norm)
        squashed = options.score is Score.PROBABILITY and probabilities is not None
        source = probabilities if squashed and probabilities is not None else scene.logits
        every = [class_scores(walk, source, scene.ids, options.score, squashed=squashed) for walk in scene.walks]
        values: gs.Tensor = every[0] if len(every) == 1 else scene.branch.concat(every, 2)
        return values if scene.dtype(source) == np.float32 else scene.branch.cast(values, np.float32)


def masked(
    walk: Walk, axes: Axes, mask: Mask, dtype: np.dtype[np.generic], *, zero: int = 0, naive: bool = False
) -> Term:
    """The target under every mask.

    Args:
        walk: Behind whose target the term stands.
        axes: The target's.
        mask: Which mask.
        dtype: The target's.
        zero: What stands for zero in it: of quantised values the zero point, which only ``pixel`` can mask.
        naive: Multiply the masks out at once: the slow way, same maps.

    Returns:
        ``Spot(own=F, rest=zero)`` for ``pixel``; otherwise a ``Window`` of each cell and its neighbours, or where the grid
        is dynamic one copy per mask.
    """
    features, stacker, branch = walk.target, walk.stacker, walk.branch
    shape = walk.static(features)
    if is_tokens(axes):
        return masked_tokens(walk, features, axes, mask, dtype, zero=zero, naive=naive)
    if mask is Mask.PIXEL:
        spot = Spot(features, np.full(rest_shape(axes), zero, dtype), axes)
        return stacker.widen(spot, shape) if naive else spot
    if not naive and (window := _window(walk, axes, mask, dtype)) is not None:
        return window
    weights = gaussian_weights(walk, [stacker.count, *(stacker.length(axes, i) for i in range(len(axes)))], dtype)
    if mask is Mask.GAUSSIAN:
        return Stacked(branch.op("Mul", features, weights), 0, shape)
    cells = cell_axes(axes)
    others = [i for i in range(len(axes)) if i not in cells]
    lengths = [1 if i in cells else (-1 if size is None else size) for i, size in enumerate(shape)]
    vectors = branch.reshape(branch.transpose(features, [*cells, *others]), [stacker.count, *lengths])
    return Stacked(branch.op("Mul", vectors, weights), 0, shape)


def _window(walk: Walk, axes: Axes, mask: Mask, dtype: np.dtype[np.generic]) -> Window | None:
    """The masks that look at 3x3 cells, as a flat list of them; None where the grid is known at run time only."""
    windower = walk.stacker.windower
    if windower.grid is None:
        return None
    every, weights = neighbours(*windower.grid)
    pairs, where = windower.carried(every)
    cells = every.cell if mask is Mask.GAUSSIAN else every.mask
    rows = windower.gather(windower.rows(walk.target, axes), cells[where])
    weighted = walk.branch.op("Mul", rows, walk.branch.constant(weights[where, None], dtype, hint="weights"))
    return Window(weighted, np.zeros(one_image(axes), dtype), pairs, axes)


def class_scores(walk: Walk, scores: gs.Tensor, ids: gs.Tensor | None, score: Score, *, squashed: bool) -> gs.Tensor:
    """The maps before they are laid out on the grid.

    Args:
        walk: Started with :func:`masked`.
        scores: The tensor to read: logits, or probabilities if ``squashed``.
        ids: The classes of each image, int64 ``[B, K]``; None for all.
        score: Which number is explained.
        squashed: Whether ``scores`` come out of a Softmax or Sigmoid of the network's own.

    Returns:
        ``[B, K, N]`` in the network's precision.
    """
    if score is Score.LOGIT or squashed:
        return all_classes(walk, scores) if ids is None else pick(walk, scores, ids)
    classes = int(np.prod(walk.seen(scores)[1:]))
    values = _probabilities(walk, all_classes(walk, scores), classes)
    return values if ids is None else choose(walk, values, ids, classes)


def _probabilities(walk: Walk, logits: gs.Tensor, classes: int) -> gs.Tensor:
    """Softmax over classes of ``[B, classes, N]``; a single class has a Sigmoid, its Softmax would be 1 everywhere."""
    branch = walk.branch
    if classes == 1:
        return branch.op("Sigmoid", logits)
    swapped = branch.transpose(logits, [0, 2, 1])  # last: before opset 13 a Softmax flattens what follows its axis
    return branch.transpose(branch.op("Softmax", swapped, axis=2), [0, 2, 1])
