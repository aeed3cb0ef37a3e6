"""Running explained files: what a deployed service imports. It needs numpy, onnxruntime and OpenCV alone."""

from onnx_reciprocam.runtime.explanation import Explanation, Prediction, View
from onnx_reciprocam.runtime.images import read_image
from onnx_reciprocam.runtime.session import ExplainedSession

__all__ = ["ExplainedSession", "Explanation", "Prediction", "View", "read_image"]
