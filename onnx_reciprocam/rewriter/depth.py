"""Room for calls inside one another: parts of tokens ask each other, some seven calls for each operator of all blocks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = 10_000
"""Enough for transformers of some fifty blocks."""


@contextmanager
def deeply() -> Iterator[None]:
    """As a decorator: Python's limit is out of the way during a call, and back afterwards."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
