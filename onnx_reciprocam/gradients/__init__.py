"""Gradients of a stretch of the network, as nodes: the reverse mode of package onnx-ad, for any batch."""

from onnx_reciprocam.gradients.backward import Backward
from onnx_reciprocam.gradients.stretch import Stretch, stretch

__all__ = ["Backward", "Stretch", "stretch"]
