"""Names and values that are written into files or typed on a command line: other programs rely on them."""

from onnx_reciprocam.contract.metadata import (
    CLASS_IDS_INPUT,
    FORMAT_VERSION,
    KEY_PREFIX,
    NO_MASK,
    SALIENCY,
    SALIENCY_CLASSES,
    TOGGLE_INPUT,
    Contract,
    is_rewritten,
)
from onnx_reciprocam.contract.options import (
    ClassChoice,
    Mask,
    Normalize,
    RewriteOptions,
    Score,
    Upsample,
    VitMask,
    parse_bytes,
)
from onnx_reciprocam.contract.preprocessing import Preprocessing

__all__ = [
    "CLASS_IDS_INPUT",
    "FORMAT_VERSION",
    "KEY_PREFIX",
    "NO_MASK",
    "SALIENCY",
    "SALIENCY_CLASSES",
    "TOGGLE_INPUT",
    "ClassChoice",
    "Contract",
    "Mask",
    "Normalize",
    "Preprocessing",
    "RewriteOptions",
    "Score",
    "Upsample",
    "VitMask",
    "is_rewritten",
    "parse_bytes",
]
