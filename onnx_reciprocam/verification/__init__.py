"""The oracle: is a rewritten file still its original, and are its maps the naive explanation?

Nothing here knows how a file is rewritten. The original is cut at the target, the tail is run once per masked cell, and
the scores are compared with the maps that the rewritten file returns.
"""

from onnx_reciprocam.verification.oracle import verify
from onnx_reciprocam.verification.outcome import Check, Verification

__all__ = ["Check", "Verification", "verify"]
