"""The command line: one file per command, and one place where errors become a line and an exit code."""

from __future__ import annotations

import sys

import typer

from onnx_reciprocam.errors import ReciprocamError

from .app import app

__all__ = ["app", "main"]

# Its base is the usage error of the click that typer carries or, by version, of the one installed beside it.
_UsageError: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def main(arguments: list[str] | None = None) -> None:
    """Run ``onnx-reciprocam``; what a user can cause ends in one line on stderr, never in a traceback."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code of a call: 0, 1 for a failed check, 2 for a bad call or file, 130 when interrupted."""
    try:
        return int(app(arguments, standalone_mode=False) or 0)
    except ReciprocamError as error:
        return _fail(str(error), error.exit_code)
    except _UsageError as error:
        return _fail(f"{_message(error)} Try: onnx-reciprocam --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; nothing half-written is left.", 130)


def _message(error: Exception) -> str:
    return str(getattr(error, "format_message", lambda: error)())


def _fail(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - this is the terminal
    return code
