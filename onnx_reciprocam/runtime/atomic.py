"""Files that are whole or not there."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from onnx_reciprocam.errors import WriteError


def write_atomically(path: str | os.PathLike[str], data: bytes, *, durable: bool = False) -> Path:
    """Write beside ``path`` under a temporary name, then rename: an interrupted run leaves no half file.

    Args:
        path: Where.
        data: What.
        durable: Wait until it would survive a power cut.

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
            if durable:
                _sync(part, os.O_RDWR)
            part.replace(final)
            if durable and os.name == "posix":  # elsewhere folders cannot be opened
                _sync(final.parent, os.O_RDONLY)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(str(final), (error.strerror or str(error)).lower()) from error
    return final


def _sync(path: Path, flags: int) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
