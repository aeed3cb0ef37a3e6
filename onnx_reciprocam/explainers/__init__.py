"""A plain model and a method become something to call: an explained file in memory, or a black box around a session."""

from onnx_reciprocam.explainers.black_box import BlackBoxSession
from onnx_reciprocam.explainers.factory import FALLBACK, check_suited, explainer, suited
from onnx_reciprocam.explainers.refusing import check_class_ids, refuse_draws, refuse_options
from onnx_reciprocam.explainers.scores import ScoreSession

__all__ = [
    "FALLBACK",
    "BlackBoxSession",
    "ScoreSession",
    "check_class_ids",
    "check_suited",
    "explainer",
    "refuse_draws",
    "refuse_options",
    "suited",
]
