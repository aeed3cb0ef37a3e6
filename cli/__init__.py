"""The command line: one file per command, and one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import typer

from onnx_reciprocam.errors import ReciprocamError

from .app import app
from .terminal import fail

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["app", "main"]

# Its base is the usage error of the click that typer carries or, by version, of the one installed beside it.
_UsageError: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run ``onnx-reciprocam``; what a user can cause ends in one line on stderr, never in a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code of a call: 0, 1 for a failed check, 2 for a bad call or file, 130 when interrupted."""
    try:
        code = int(app(arguments, prog_name="onnx-reciprocam", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED  # newer versions of typer return it themselves
    except ReciprocamError as error:
        fail(str(error))
        code = error.exit_code
    except _UsageError as error:
        fail(_message(error))
        code = ReciprocamError.exit_code
    except OSError as error:  # a full disk, a folder for temporary files: out of the command's own hands
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        code = ReciprocamError.exit_code
    if code == _INTERRUPTED:
        fail("interrupted; nothing half-written is left.")
    return code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """The first Ctrl-C ends the run in order; the second, while threads are being waited for, at once."""
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _leave(_number: int, _frame: FrameType | None) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the cursor, which a progress bar hides
    os._exit(_INTERRUPTED)


def _message(error: Exception) -> str:
    """What click says, which is nothing where it has shown the help already, and where to read on."""
    said = str(getattr(error, "format_message", lambda: error)()) or "no command."
    path = getattr(getattr(error, "ctx", None), "command_path", "onnx-reciprocam")
    return f"{said} Try: {path} --help"
