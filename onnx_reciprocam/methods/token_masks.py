"""The masks on patch tokens: they act on the tokens themselves, and keep class, distillation and register tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.tail import Stacked, Tokens
from onnx_reciprocam.tail.axes import BATCH, Factor
from onnx_reciprocam.tail.terms import Part
from onnx_reciprocam.tail.tokens import OWN, REST, TOKEN, place, span

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail import Axes, Term, Walk


def is_tokens(axes: Axes) -> bool:
    """Whether the target's cells are tokens along one axis."""
    return any(span(factor.label) for axis in axes for factor in axis)


def masked_tokens(
    walk: Walk,
    tensor: gs.Tensor,
    axes: Axes,
    mask: Mask,
    *,
    dtype: np.dtype[np.generic],
    weights: Callable[[], gs.Tensor],
) -> Term:
    """The tokens under every mask; cf. :func:`~.reciprocam.masked`.

    Args:
        walk: Behind whose target the term stands.
        tensor: The target, or one of its shape.
        axes: The target's, one of them ``hw`` with the numbers of tokens around it.
        mask: Which mask.
        dtype: The tensor's.
        weights: Makes the Gaussian masks, ``[N, N]``.

    Returns:
        ``Tokens`` that rest at zero for ``pixel``, otherwise ``[N, *F]`` with neighbours of a cell weighted in.
    """
    before, after = next(ends for axis in axes if (ends := span(axis[0].label)))
    named = tuple((Factor(TOKEN, axis[0].size),) if span(axis[0].label) else axis for axis in axes)
    tokenizer = walk.stacker.tokenizer
    parts = tokenizer.originals(tensor, named, before, after)
    shape = [1 if axis[0].label in {TOKEN, BATCH} else math.prod(f.size for f in axis) for axis in named]
    rest = Part(lambda: np.zeros(shape, dtype), constant=True)
    tokens = Tokens({**parts, REST: rest}, named, before, after)
    return tokens if mask is Mask.PIXEL else _weighted(walk, tokens, mask, weights())


def _weighted(walk: Walk, tokens: Tokens, mask: Mask, weights: gs.Tensor) -> Stacked:
    """Every patch (``gaussian``) or the mask's own (``replicated``) times the weight at its place, ``[..., N, tokens, ...]``."""
    branch, tokenizer, axis = walk.branch, walk.stacker.tokenizer, place(tokens.axes)
    rank, count = len(tokens.axes) + 1, tokenizer.count
    lengths = [count if i in {axis, axis + 1} else 1 for i in range(rank)]
    patches = tokenizer.tensor(tokens.parts[OWN])
    source = branch.unsqueeze(patches, [axis if mask is Mask.GAUSSIAN else axis + 1])
    value = branch.op("Mul", source, branch.reshape(weights, lengths))
    return Stacked(tokenizer.around(tokens, value), axis, walk.static(walk.target))
