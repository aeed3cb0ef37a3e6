"""How good a map is: arrays and callables in, one value per image out.

A call at a glance, for images ``[B, C, H, W]`` as the network takes them and maps ``[B, h, w]`` of any size and range::

    saliency = scaled(maps, *images.shape[2:])                        # S: [B, H, W] in [0, 1]
    sure = confidences(score, images, saliency)                       # p_c(x) and p_c(E), E = x * S
    again = explained_again(explain, images, saliency, sure.classes)  # S(E)
    drops, rises = drop(sure.before, sure.after), increase(sure.before, sure.after)
    total = adcc(drops, coherency(saliency, again), complexity(saliency))
    areas = (game(score, images, saliency, sure.classes) for game in (deletion, insertion))

A data set's figure is the mean of the per-image values, except for ADCC, which is made of those means.
"""

from onnx_reciprocam.metrics.adcc import adcc
from onnx_reciprocam.metrics.boxes import box_masks
from onnx_reciprocam.metrics.causal import blurred, deletion, insertion
from onnx_reciprocam.metrics.coherency import ExplainFn, coherency, explained_again
from onnx_reciprocam.metrics.complexity import complexity
from onnx_reciprocam.metrics.confidence import Confidences, confidences, drop, increase
from onnx_reciprocam.metrics.masking import masked
from onnx_reciprocam.metrics.pointing import energy_pointing_game, pointing_game
from onnx_reciprocam.metrics.scaling import minmax, scaled, upsample
from onnx_reciprocam.metrics.scoring import ScoreFn, predicted_classes

__all__ = [
    "Confidences",
    "ExplainFn",
    "ScoreFn",
    "adcc",
    "blurred",
    "box_masks",
    "coherency",
    "complexity",
    "confidences",
    "deletion",
    "drop",
    "energy_pointing_game",
    "explained_again",
    "increase",
    "insertion",
    "masked",
    "minmax",
    "pointing_game",
    "predicted_classes",
    "scaled",
    "upsample",
]
