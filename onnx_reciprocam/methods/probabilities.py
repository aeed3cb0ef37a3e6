"""Probabilities of logits as nodes, and what they are differentiated by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch


def are_independent(activation: str, classes: int) -> bool:
    """Whether each class has a probability of its own, that of a Sigmoid; otherwise they share a Softmax.

    Args:
        activation: The network's trailing operator in small letters, or ``none``.
        classes: How many scores it has.
    """
    return activation == "sigmoid" or classes == 1


def probabilities(branch: Branch, logits: gs.Tensor, *, independent: bool) -> gs.Tensor:
    """``[B, classes]`` of logits ``[B, classes]``."""
    return branch.op("Sigmoid", logits) if independent else branch.op("Softmax", logits, axis=1)


def by_logits(branch: Branch, shares: gs.Tensor, weights: gs.Tensor, *, independent: bool) -> gs.Tensor:
    """Weighted sums of probabilities p, differentiated by the logits: ``p (w - sum p w)``, or if independent ``p (1 - p) w``.

    Args:
        branch: Receives the nodes.
        shares: p, ``[B, classes]``.
        weights: w, ``[B, classes, K]``: the weights of K sums.
        independent: Whether each class has a probability of its own.

    Returns:
        ``[B, classes, K]``.
    """
    shares = branch.unsqueeze(shares, [2])
    weighted = branch.op("Mul", shares, weights)
    whole = weighted if independent else branch.reduce("ReduceSum", weighted, [1], keepdims=True)
    return branch.op("Sub", weighted, branch.op("Mul", shares, whole))
