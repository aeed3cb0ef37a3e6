"""Files that are whole or not there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from onnx_reciprocam.errors import WriteError


def write_atomically(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write beside ``path`` under a temporary name, then rename: an interrupted run leaves no half file.

    Returns:
        ``path``; what was there before is replaced.

    Raises:
        WriteError: The folder does not exist or cannot be written to, or the disk is full.
    """
    final = Path(path)
    part = final.with_name(f".{final.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        try:
            part.write_bytes(data)
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(str(final), (error.strerror or str(error)).lower()) from error
    return final
