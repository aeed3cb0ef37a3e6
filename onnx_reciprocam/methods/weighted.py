"""Sums over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch


def weighted_sum(branch: Branch, weights: gs.Tensor, features: gs.Tensor) -> gs.Tensor:
    """``sum_k w_k A_k``: ``[B, K, C]`` and ``[B, C, N]`` -> ``[B, K, N]``."""
    return branch.op("MatMul", weights, features)


def sum_of_products(branch: Branch, factors: gs.Tensor, features: gs.Tensor) -> gs.Tensor:
    """``sum_k f_k(n) A_k(n)``: ``[B, K, C, N]`` and ``[B, C, N]`` -> ``[B, K, N]``."""
    products = branch.op("Mul", factors, branch.unsqueeze(features, [1]))
    return branch.reduce("ReduceSum", products, [2], keepdims=False)
