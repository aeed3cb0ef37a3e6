"""Explained files as a service: KServe's model server, with limits. ``docs/serve.md`` says how to use it.

Importing this imports ``kserve``, which reads the command line at that moment and would take a program's own options for
its own; so it is shown none.

Raises:
    MissingPackageError: ``kserve`` is not installed.
"""

from __future__ import annotations

import sys

from onnx_reciprocam.errors import MissingPackageError

_arguments, sys.argv = sys.argv, sys.argv[:1]
try:
    import kserve as _kserve  # noqa: F401 - for its effects
except ImportError as error:
    raise MissingPackageError("kserve", "serve") from error
finally:
    sys.argv = _arguments

from onnx_reciprocam.serving.keys import read_keys  # noqa: E402 - kserve first
from onnx_reciprocam.serving.launch import serve  # noqa: E402
from onnx_reciprocam.serving.settings import Settings  # noqa: E402

__all__ = ["Settings", "read_keys", "serve"]
