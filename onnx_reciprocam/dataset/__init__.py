"""Whole data sets: pictures from wherever they are, rows of Arrow or files of them out."""

from onnx_reciprocam.dataset.parts import read_rows
from onnx_reciprocam.dataset.run import Tally, batch
from onnx_reciprocam.dataset.stream import explain_dataset

__all__ = ["Tally", "batch", "explain_dataset", "read_rows"]
