"""How a service begins: in this process, or in several workers under it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.serving.connections import raise_file_limit
from onnx_reciprocam.serving.listening import bound
from onnx_reciprocam.serving.loading import names_of
from onnx_reciprocam.serving.logs import log, set_up_logging
from onnx_reciprocam.serving.server import run
from onnx_reciprocam.serving.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnx_reciprocam.serving.settings import Settings


def serve(paths: Sequence[Path], settings: Settings) -> None:
    """Serve explained files until SIGTERM or SIGINT, then finish what was taken on.

    Raises:
        ReciprocamError: A file cannot be served, the address not be used, or a worker not be kept alive.
    """
    named = names_of(paths)
    set_up_logging()

    def ready(facts: dict[str, Any]) -> None:
        log("serving", facts)
        if not settings.is_loopback and not settings.keys:
            warning = f"warning: whoever reaches {facts['host']} may use this service; --api-key-file asks for a key."
            print(warning, file=sys.stderr, flush=True)  # noqa: T201 - for whoever started it

    if settings.workers > 1:
        supervise(named, settings, ready)
        return
    raise_file_limit(settings.max_connections + 256)
    with contextlib.closing(bound(settings.host, settings.port, "--port")) as listener:
        if settings.grpc_port:  # gRPC says on stderr what it cannot have, so it is asked for only what is free
            bound(settings.host, settings.grpc_port, "--grpc-port").close()
        run(named, settings, listener, ready=ready)
