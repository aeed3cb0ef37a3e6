"""One of several processes that serve the same files on the same ports."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.serving import totals
from onnx_reciprocam.serving.connections import raise_file_limit
from onnx_reciprocam.serving.listening import bound
from onnx_reciprocam.serving.logs import log_fault, set_up_logging
from onnx_reciprocam.serving.server import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from pathlib import Path

    from onnx_reciprocam.serving.settings import Settings

LOADED = "loaded"
LISTEN = "listen"


def work(number: int, named: Mapping[str, Path], settings: Settings, parent: Connection) -> None:
    """What the process does, until SIGTERM or until its parent is gone.

    It tells its parent :data:`LOADED` once it could listen, listens when it is told :data:`LISTEN`, and then tells what it
    serves, as a dictionary. A :class:`ReciprocamError` that it tells is why it ends.
    """
    set_up_logging(number)
    raise_file_limit(settings.max_connections + 256)

    def loaded() -> None:
        parent.send(LOADED)
        parent.recv()
        threading.Thread(target=_outlive_nobody, args=(parent,), daemon=True).start()

    try:
        with contextlib.closing(bound(settings.host, settings.port, "--port", shared=True)) as listener:
            run(named, settings, listener, loaded=loaded, ready=parent.send)
    except ReciprocamError as error:
        parent.send(error)
        sys.exit(error.exit_code)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(1)  # the parent went before anything was served
    except Exception as error:  # noqa: BLE001 - its place is the log
        log_fault(error, "worker")
        sys.exit(1)


def _outlive_nobody(parent: Any) -> None:
    """Finish what was taken on, and end, once the parent has ended without a word."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    totals.clear_up()
    os.kill(os.getpid(), signal.SIGTERM)
