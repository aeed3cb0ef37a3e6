"""What a batch found, as a page to look through."""

from onnx_reciprocam.reporting.run import Report, report

__all__ = ["Report", "report"]
