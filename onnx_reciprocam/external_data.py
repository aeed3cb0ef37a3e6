"""Where a model's external data may lie: in files beside it or in folders below, and nowhere else.

A model names those files itself, so one from a stranger could name any file of the machine. Not every version of onnx and
onnxruntime refuses that.
"""

from __future__ import annotations

import os
from pathlib import Path

from onnx_reciprocam.errors import ModelFileError


def data_file(folder: Path, location: str, model: str) -> Path:
    """The file that holds an external tensor.

    Args:
        folder: Of the model file.
        location: As the model gives it.
        model: What errors call the model.

    Raises:
        ModelFileError: It is absolute, leads out of the folder (through ``..`` or a symbolic link), or is no file.
    """
    path = folder / location
    try:
        outside = not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
        there = not outside and path.is_file()
    except (OSError, ValueError):  # too long a name, a NUL in it
        outside, there = False, False
    if outside or Path(location).is_absolute():
        raise ModelFileError(
            model, f"its external data {location!r} is outside its folder, which is not read: copy it into the folder."
        )
    if not there:
        raise ModelFileError(model, f"its external data {str(path)!r} is missing: copy it beside the .onnx file.")
    return path
