"""``onnx-reciprocam strip``: the original graph back."""

from __future__ import annotations

from . import options as shared
from .terminal import say


def strip(explained: shared.Explained, out: shared.Written, *, overwrite: shared.Overwrite = False) -> None:
    """Take the maps out of an explained file again."""
    from onnx_reciprocam.rewriter import strip as take_out

    take_out(explained, out, overwrite=overwrite)
    say((str(out), "bold"), ": the original graph")
