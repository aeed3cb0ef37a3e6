"""Explained files laid out as other people's servers want them."""

from onnx_reciprocam.deployment.repository import NEXT, Exported, export_triton
from onnx_reciprocam.deployment.triton import DEVICES, Serving, triton_config

__all__ = ["DEVICES", "NEXT", "Exported", "Serving", "export_triton", "triton_config"]
