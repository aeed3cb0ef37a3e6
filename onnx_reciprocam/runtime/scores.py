"""Scores of a classifier as probabilities, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def probabilities(scores: NDArray[np.floating], activation: str) -> NDArray[np.float64]:
    """Probabilities of one image's scores, in the same order.

    Args:
        scores: ``[classes]``.
        activation: What made them, as the file says: ``softmax`` and ``sigmoid`` left probabilities, ``logsoftmax``
            their logarithms, ``none`` logits: of a softmax if there are several, of a sigmoid if there is one.

    Returns:
        ``[classes]``.
    """
    exact = scores.astype(np.float64)
    if activation in {"softmax", "sigmoid"}:
        return exact
    if exact.size == 1:
        return np.exp(-np.logaddexp(0, -exact))
    raised = np.exp(exact - exact.max())
    return np.asarray(raised / raised.sum())
