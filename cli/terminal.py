"""What commands say, and how: results on stdout, failures in one line on stderr."""

from __future__ import annotations

import shlex
import sys

from rich.console import Console
from rich.text import Text


def say(*parts: str | tuple[str, str]) -> None:
    """A line on stdout, its parts joined; a pair is text and its style. No character of a path is markup."""
    Console().print(Text.assemble(*parts), soft_wrap=True)


def say_aside(message: str) -> None:
    """A line on stderr that is no failure."""
    Console(stderr=True, soft_wrap=True).print(Text(message))


def share(more: float) -> str:
    """An extra cost as people say it: ``+1.4%``, or ``+12.3x`` once it is more than the whole."""
    return f"+{more:.1%}" if more < 1 else f"+{more:,.1f}x"


def fail(message: str) -> None:
    """A line on stderr, whatever line breaks the message has."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - this is the terminal


def command(*words: object) -> str:
    """A call to copy into a shell."""
    return shlex.join(["onnx-reciprocam", *map(str, words)])
