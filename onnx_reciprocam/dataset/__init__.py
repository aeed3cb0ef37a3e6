"""Whole data sets: pictures from wherever they are, rows of Arrow or files of them out."""

from onnx_reciprocam.dataset.finished import Finished, read_finished
from onnx_reciprocam.dataset.parts import read_rows
from onnx_reciprocam.dataset.run import Tally, batch
from onnx_reciprocam.dataset.stream import explain_dataset

__all__ = ["Finished", "Tally", "batch", "explain_dataset", "read_finished", "read_rows"]
