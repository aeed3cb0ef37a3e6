"""What becomes of the masks behind the target: terms, a rule per operator, and the walk that applies them."""

from onnx_reciprocam.tail.axes import Axes, axes_of, rest_shape
from onnx_reciprocam.tail.cost import multiply_adds, total_cost
from onnx_reciprocam.tail.pairs import neighbours
from onnx_reciprocam.tail.picks import all_classes, choose, pick
from onnx_reciprocam.tail.terms import Shared, Spot, Stacked, Term, Tokens, Window
from onnx_reciprocam.tail.walk import Note, Walk
from onnx_reciprocam.tail.windowing import one_image

__all__ = [
    "Axes",
    "Note",
    "Shared",
    "Spot",
    "Stacked",
    "Term",
    "Tokens",
    "Walk",
    "Window",
    "all_classes",
    "axes_of",
    "choose",
    "multiply_adds",
    "neighbours",
    "one_image",
    "pick",
    "rest_shape",
    "total_cost",
]
