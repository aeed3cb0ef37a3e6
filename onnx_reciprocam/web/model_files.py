"""What a model consists of: its file, and those that hold its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.runtime.opening import external_files

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 2**31 - 1
"""A browser keeps a download in one piece of no more, and WebAssembly's memory holds it a second time while it loads."""


def model_files(model: Path) -> dict[str, Path]:
    """The files of external data by what the model calls them.

    Raises:
        ModelFileError: One lies outside of the model's folder, or is missing.
        UnsupportedModelError: All together are more than a browser holds.
    """
    found = external_files(model)
    if (size := sum(path.stat().st_size for path in (model, *found.values()))) > MOST_BYTES:
        raise UnsupportedModelError(
            f"{model} takes {size / 1e9:.1f} GB, and a browser holds {MOST_BYTES / 1e9:.1f} GB at most",
            "Take a smaller network, or one with weights of 8 bits",
        )
    return found
