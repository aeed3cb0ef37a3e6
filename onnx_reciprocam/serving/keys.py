"""Keys that open a service."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LEAST = 16
"""Characters of a key; a shorter one is guessed."""


def read_keys(path: Path) -> tuple[bytes, ...]:
    """The keys of a file, one per line, empty lines aside.

    Raises:
        OptionError: The file cannot be read, has no key, or one that is too short or no ASCII word.
    """
    wanted = (f"a file with one key per line, each one word of ASCII, {_LEAST} characters or more",)
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise OptionError("--api-key-file", str(path), wanted) from error
    keys = tuple(line for line in lines if line)
    if not keys or not all(len(key) >= _LEAST and key.isascii() and b" " not in key for key in keys):
        raise OptionError("--api-key-file", str(path), wanted)
    return keys


def opens(authorization: bytes, keys: Sequence[bytes]) -> bool:
    """Whether the value of an Authorization header is ``Bearer KEY`` with one of the keys.

    Takes the same time for any key that is wrong, however much of it is right.
    """
    scheme, _, key = authorization.partition(b" ")
    found = [hmac.compare_digest(key.strip(), each) for each in keys]
    return any(found) and scheme.lower() == b"bearer"
