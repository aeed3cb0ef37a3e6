"""Folders for results, judged before the work that fills them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import WriteError

if TYPE_CHECKING:
    from pathlib import Path


def check_folder(folder: Path) -> None:
    """See that files can go to ``folder``, which is not made yet, so that a failure leaves no trace.

    Raises:
        WriteError: It, or what it would be made in, is no folder or may not be written to.
    """
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:  # a name too long, a folder that may not be entered
        raise WriteError(str(folder), f"{error.strerror}.") from error
    if not there.is_dir():
        raise WriteError(str(folder), f"{str(there)!r} is a file; name a folder.")
    if not os.access(there, os.W_OK):
        raise WriteError(str(folder), f"no permission to write in {str(there)!r}.")


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it, unless they are there.

    Raises:
        WriteError: The system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(str(folder), f"{error.strerror}.") from error
