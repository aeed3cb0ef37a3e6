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
            with part.open("wb") as stream:
                stream.write(data)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            part.replace(final)
            if durable:
                _sync_folder(final.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(str(final), (error.strerror or str(error)).lower()) from error
    return final


def _sync_folder(folder: Path) -> None:
    """The name as well as the bytes; Windows has no such thing."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
