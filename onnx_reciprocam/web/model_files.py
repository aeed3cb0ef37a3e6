"""What a model consists of: its file, and those that hold its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.external_data import data_file
from onnx_reciprocam.graph.checked import external, location

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
    proto = onnx.load(model, load_external_data=False)
    found = {name: data_file(model.parent, name, str(model)) for name in _locations(proto)}
    if (size := sum(path.stat().st_size for path in (model, *found.values()))) > MOST_BYTES:
        raise UnsupportedModelError(
            f"{model} takes {size / 1e9:.1f} GB, and a browser holds {MOST_BYTES / 1e9:.1f} GB at most",
            "Take a smaller network, or one with weights of 8 bits",
        )
    return found


def _locations(proto: onnx.ModelProto) -> list[str]:
    return sorted({location(tensor) for tensor in external(proto)})
