"""The file as a graph: reading it, its shapes and dominators, and appending to it."""

from onnx_reciprocam.graph.branch import Branch, Size
from onnx_reciprocam.graph.dominators import bypass, descendants, dominators, reads
from onnx_reciprocam.graph.fused import taken_apart
from onnx_reciprocam.graph.model import Model, ModelSource, load
from onnx_reciprocam.graph.save import check_writable, save
from onnx_reciprocam.graph.shapes import InputSpec, Shapes, input_specs, probe

__all__ = [
    "Branch",
    "InputSpec",
    "Model",
    "ModelSource",
    "Shapes",
    "Size",
    "bypass",
    "check_writable",
    "descendants",
    "dominators",
    "input_specs",
    "load",
    "probe",
    "reads",
    "save",
    "taken_apart",
]
