"""KServe's model server on one address, with a start and an end of its own, in this process."""

from __future__ import annotations

import asyncio
import math
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import FastAPIDeprecationWarning
from kserve import ModelServer
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.server import RESTServer
from starlette.exceptions import HTTPException

import onnx_reciprocam
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.serving import schema, totals
from onnx_reciprocam.serving.connections import connection_class
from onnx_reciprocam.serving.failures import failure_of
from onnx_reciprocam.serving.guard import Guard
from onnx_reciprocam.serving.intake import Intake
from onnx_reciprocam.serving.logs import log
from onnx_reciprocam.serving.model import ServedModel
from onnx_reciprocam.serving.remote import Remote
from onnx_reciprocam.serving.routes import Routes
from onnx_reciprocam.serving.signals import captured

if TYPE_CHECKING:
    import contextlib
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onnx_reciprocam.serving.settings import Settings

_ON_THE_WIRE = 0.25
"""Seconds between closing the door and asking who is still inside: requests that were sent before are read by then."""

_LAST_WORDS = 1.0
"""Seconds that requests get to say that their time is up."""

_APPLICATION = "kserve.model_server:app"


def run(
    named: Mapping[str, Path],
    settings: Settings,
    listener: socket.socket,
    *,
    ready: Callable[[dict[str, Any]], None],
    loaded: Callable[[], None] = lambda: None,
) -> None:
    """Serve explained files until SIGTERM or SIGINT, then finish what was taken on.

    Args:
        named: Files by the names of the models.
        settings: The limits, and where gRPC listens.
        listener: Where REST does.
        ready: Told what is served, once everything listens.
        loaded: Called before anything does.

    Raises:
        ReciprocamError: A file cannot be served, or the address not be used.
    """
    pool = ThreadPoolExecutor(max_workers=max(2, settings.cores), thread_name_prefix="pictures")
    try:
        models = [ServedModel(name, path, settings, pool) for name, path in named.items()]
        server = _Server(_Service(models, settings, pool), settings, ready)
        loaded()
        server.run(sockets=[listener])
    finally:
        pool.shutdown(cancel_futures=True)
    if server.failure is not None:
        raise server.failure


class _DataPlane(DataPlane):
    """KServe's, which says who we are and is not ready once told to stop."""

    intake: Intake

    def metadata(self) -> dict[str, Any]:
        """Of the server."""
        version = onnx_reciprocam.__version__
        return {"name": "onnx-reciprocam", "version": version, "extensions": ["binary_tensor_data"]}

    async def ready(self) -> bool:
        """Whether to send requests here."""
        return not self.intake.draining


class _Service:
    """Models, KServe's application around them, and what is started and stopped with it."""

    def __init__(self, models: Sequence[ServedModel], settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.models, self.settings, self.intake = models, settings, Intake(settings)
        kserve = ModelServer(enable_latency_logging=False)
        kserve.dataplane = _DataPlane(kserve.registered_models)
        kserve.dataplane.intake = self.intake
        for model in models:
            kserve.register_model(model)
        names = {model.name for model in models}
        extension = kserve.model_repository_extension
        self.app = Guard(self._application(kserve, pool), settings, self.intake, names)
        self.remote = Remote(kserve.dataplane, extension, settings, self.intake, names)
        self.grpc_port: int | None = None

    async def start(self) -> None:
        """In the event loop, before anything listens."""
        for model in self.models:
            model.open()
        if self.settings.grpc_port is not None:
            self.grpc_port = await self.remote.start()

    async def stop(self) -> None:
        """After the last answer."""
        for model in self.models:
            await model.close()

    def facts(self) -> dict[str, Any]:
        """What the log says of it."""
        models = {
            model.name: {"images_per_run": model.most or "as sent", **({"why": model.why} if model.why else {})}
            for model in self.models
        }
        return {"grpc_port": self.grpc_port, "pid": os.getpid(), "threads": self.settings.cores, "models": models}

    def _application(self, kserve: ModelServer, pool: ThreadPoolExecutor) -> FastAPI:
        """KServe's own, our routes in front."""
        warnings.filterwarnings("ignore", category=FastAPIDeprecationWarning)  # of how KServe made its application
        app: FastAPI = uvicorn.importer.import_from_string(_APPLICATION)
        ours = Routes(kserve.dataplane, pool, self.settings.max_pixels).router()
        app.include_router(ours)
        if totals.is_part():
            app.add_api_route("/metrics", _totals, include_in_schema=False)  # in front of KServe's
        RESTServer(_APPLICATION, kserve.dataplane, kserve.model_repository_extension, 0).create_application()
        app.user_middleware.clear()  # times every route by its name for a log that nobody reads
        app.add_exception_handler(HTTPException, _answer)
        app.title, app.version = "onnx-reciprocam serve", onnx_reciprocam.__version__
        alone = FastAPI()
        alone.include_router(ours)
        written = schema.document(app.openapi(), alone.openapi(), keys=bool(self.settings.keys))
        app.openapi = lambda: written  # type: ignore[method-assign]
        return app


class _Server(uvicorn.Server):
    """uvicorn's, which starts and stops the rest of the service and ends without being killed by its own signal.

    Attributes:
        failure: Why it did not start.
    """

    failure: OptionError | None = None

    def __init__(self, service: _Service, settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
        self._service, self._settings, self._ready = service, settings, ready
        config = uvicorn.Config(
            service.app,
            http=connection_class(settings),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=math.ceil(settings.grace),
        )
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Everything listens, or nothing."""
        try:
            await self._service.start()
        except OptionError as error:
            self.failure, self.should_exit = error, True
            return
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        self._ready({"host": host, "port": port, **self._service.facts()})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, answer what came in before, then end."""
        log("stopping")
        self._service.intake.draining = True
        for server in self.servers:
            server.close()
        remote = asyncio.create_task(self._service.remote.stop()) if self._service.grpc_port else None
        await asyncio.sleep(min(_ON_THE_WIRE, self._settings.grace))
        await super().shutdown(sockets)
        if self.server_state.tasks:  # cancelled by now: each still says so to its client
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_WORDS)
        if remote is not None:
            await remote
        await self._service.stop()
        log("stopped")

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """As uvicorn's, which afterwards raises the signal again and so ends a good end with a bad exit code."""
        return captured(self.handle_exit)


async def _answer(_request: Any, error: Exception) -> Response:
    """Starlette's own errors in KServe's words."""
    failure = failure_of(error)
    return Response(failure.body, status_code=failure.status, headers=failure.headers)


def _totals(request: Request) -> Response:
    """Metrics of all workers."""
    content, form = totals.written(request.headers.get("accept"))
    return Response(content, headers={"content-type": form})
