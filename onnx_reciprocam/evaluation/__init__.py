"""Which method explains a network best: metrics over a data set."""

from onnx_reciprocam.evaluation.protocol import HIGHER, METRICS, PROTOCOLS, Protocol
from onnx_reciprocam.evaluation.run import METHODS, Evaluation, evaluate
from onnx_reciprocam.evaluation.sample import Sample
from onnx_reciprocam.evaluation.summary import Figure, Line, best, summarise, to_rows

__all__ = [
    "HIGHER",
    "METHODS",
    "METRICS",
    "PROTOCOLS",
    "Evaluation",
    "Figure",
    "Line",
    "Protocol",
    "Sample",
    "best",
    "evaluate",
    "summarise",
    "to_rows",
]
