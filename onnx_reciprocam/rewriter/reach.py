"""Whether the score depends on a target cell by cell, asked of walks that are thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.methods.reciprocam import masked
from onnx_reciprocam.rewriter.splice import open_walk
from onnx_reciprocam.tail import Shared, axes_of

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter.network import Network, Target
    from onnx_reciprocam.tail import Walk


def opened(network: Network, target: Target) -> Walk:
    """A walk behind pixel masks."""
    walk = open_walk(network, target, Branch(network.model))
    axes = axes_of(target.layout, target.seen)
    walk.start(masked(walk, axes, Mask.PIXEL, network.dtype(target.tensor), zero=target.zero))
    return walk


def reaches(network: Network, target: Target) -> bool:
    """Whether masks change the score; behind a transformer's last block, where one token is read, patches do not."""
    return not isinstance(opened(network, target).only_asking().term(network.scores.logits), Shared)
