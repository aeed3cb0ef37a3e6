"""The gradient of a class score by the whole image: every operator of a network, from its first to its last."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rewritten import run
from tail_in_doubles import Tail

from onnx_reciprocam.contract import Score
from onnx_reciprocam.explainers.questions import asking_gradients

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from onnx_reciprocam.rewriter.network import Network

ALLOWED = 0.02
"""Error of a derivative as a share of the gradient's length: of the many gates of a whole network (ReLU) some are so near
their kink that rounding opens or shuts them. A wrong rule is off by much."""


def off_along_a_random_direction(known: Network, plain: onnx.ModelProto, image: NDArray[np.float32], c: int) -> float:
    """The error as a share of what is allowed.

    Args:
        known: The network.
        plain: Its file.
        image: As it takes it, ``[1, 3, H, W]``.
        c: The class.
    """
    weights = np.eye(1, known.scores.classes, c, dtype=np.float32)
    asked = asking_gradients(known, Score.LOGIT)
    g = run(asked.model, image, weights)[asked.outputs[0]].astype(np.float64)
    direction = np.random.default_rng(3).standard_normal(image.shape)
    wanted = Tail(plain, known.image.name, known.scores.logits.name, image).along(direction)[0, c]
    return float(np.abs((g * direction).sum() - wanted) / (ALLOWED * np.sqrt((g**2).sum())))
