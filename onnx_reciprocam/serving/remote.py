"""The Open Inference Protocol over gRPC: KServe's servicer with the same limits as REST."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from grpc import aio
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.servicer import InferenceServicer

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.serving import measures
from onnx_reciprocam.serving.failures import failure_of
from onnx_reciprocam.serving.keys import opens
from onnx_reciprocam.serving.logs import log, log_fault, take_notes
from onnx_reciprocam.serving.rejections import LateError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from kserve.protocol.dataplane import DataPlane
    from kserve.protocol.model_repository_extension import ModelRepositoryExtension

    from onnx_reciprocam.serving.intake import Intake
    from onnx_reciprocam.serving.settings import Settings

_OPEN = {"ServerLive", "ServerReady", "ModelReady"}
"""Health: asked by what has no key."""

_SPARE = 16
"""Calls beyond the queue, for those that ask after health while it is full."""


class _Servicer(InferenceServicer):
    """KServe's, without the loading and unloading of models."""

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's names
        raise NotImplementedError("models are neither loaded nor unloaded while this service runs.")

    RepositoryModelUnload = RepositoryModelLoad


@dataclass(frozen=True)
class _Gate(aio.ServerInterceptor):
    """Keys, the queue, time limits, and a line of log per call."""

    settings: Settings
    intake: Intake
    models: Collection[str]

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The handler of a call, with ours around it."""
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = details.method.rpartition("/")[2]
        metadata = {key: value for key, value in details.invocation_metadata if isinstance(value, str)}
        key = metadata.get("authorization", "").encode("latin-1", "replace")
        allowed = method in _OPEN or not self.settings.keys or opens(key, self.settings.keys)
        inner = handler.unary_unary if allowed else _refuse

        async def call(request: Any, context: Any) -> Any:
            return await self._call(method, inner, request, context)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=handler.request_deserializer if allowed else None,
            response_serializer=handler.response_serializer,
        )

    async def _call(self, method: str, inner: Any, request: Any, context: Any) -> Any:
        started, facts = time.perf_counter(), take_notes()
        model = getattr(request, "model_name", "") or getattr(request, "name", "")
        code, reason = "OK", ""
        try:
            return await self._bounded(method, inner, request, context)
        except aio.AbortError:
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            failure = failure_of(error)
            code, reason = failure.grpc_status, failure.reason
            if failure.is_ours:
                log_fault(error, method)
            await context.abort(grpc.StatusCode[code], reason)
        finally:
            seconds = time.perf_counter() - started
            if model in self.models and method == "ModelInfer":
                measures.answered(model, "grpc", "infer", code, seconds)
            line: dict[str, Any] = {
                "protocol": "grpc", "method": method, "model": model[:200], "status": code,
                "ms": round(1000 * seconds, 2), "client": context.peer(),
            }  # fmt: skip
            log("request", line | ({"error": reason} if reason else {}) | facts)

    async def _bounded(self, method: str, inner: Any, request: Any, context: Any) -> Any:
        if method != "ModelInfer":
            return await inner(request, context)
        left = context.time_remaining()
        limit = self.settings.timeout if left is None else min(left, self.settings.timeout)
        with self.intake.place():
            try:
                return await asyncio.wait_for(inner(request, context), limit)
            except asyncio.TimeoutError as error:
                raise LateError(f"no answer within {limit:.3g} s.") from error


async def _refuse(_request: Any, _context: Any) -> Any:
    raise UnauthorizedError("this service asks for a key: send it as metadata 'authorization: Bearer KEY'.")


class Remote:
    """A gRPC server.

    Args:
        dataplane, repository: KServe's.
        settings: The limits.
        intake: What is taken on, over all protocols.
        models: Names that exist.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        repository: ModelRepositoryExtension,
        settings: Settings,
        intake: Intake,
        models: Collection[str],
    ) -> None:
        self._servicer = _Servicer(dataplane, repository)
        self._gate, self._settings = _Gate(settings, intake, models), settings
        self._server: Any = None

    async def start(self) -> int:
        """Listen.

        Returns:
            The port.

        Raises:
            OptionError: It is taken, or the host is none of this machine.
        """
        settings = self._settings
        options = [
            ("grpc.max_receive_message_length", settings.max_body),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(settings.workers > 1)),
        ]
        most = settings.max_queue + _SPARE
        self._server = aio.server(interceptors=[self._gate], options=options, maximum_concurrent_rpcs=most)
        grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self._servicer, self._server)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            port: int = self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError as error:
            raise OptionError("--grpc-port", str(settings.grpc_port), ("a port that is free on --host",)) from error
        await self._server.start()
        return port

    async def stop(self) -> None:
        """Take no more calls, and end once those that are there are answered or their time is up."""
        await self._server.stop(self._settings.grace)
