"""``onnx-reciprocam strip``: the original graph back."""

from __future__ import annotations

from rich.console import Console

from . import options as shared


def strip(explained: shared.Explained, out: shared.Written, *, overwrite: shared.Overwrite = False) -> None:
    """Take the maps out of an explained file again."""
    from onnx_reciprocam.rewriter import strip as take_out

    take_out(explained, out, overwrite=overwrite)
    Console().print(f"[bold]{out}[/]: the original graph", soft_wrap=True)
