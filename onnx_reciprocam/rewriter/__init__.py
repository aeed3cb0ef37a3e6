"""A plain model in, an explained one out."""

from onnx_reciprocam.rewriter.inspection import Candidate, Inspection, inspect
from onnx_reciprocam.rewriter.rewrite import rewrite, rewrite_with, strip
from onnx_reciprocam.rewriter.spliced import Spliced

__all__ = ["Candidate", "Inspection", "Spliced", "inspect", "rewrite", "rewrite_with", "strip"]
