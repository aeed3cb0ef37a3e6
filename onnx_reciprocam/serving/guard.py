"""What every request over REST goes through, before KServe's application and after it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.serving import measures
from onnx_reciprocam.serving.connections import ABORT
from onnx_reciprocam.serving.failures import failure_of
from onnx_reciprocam.serving.keys import opens
from onnx_reciprocam.serving.logs import log, log_fault, take_notes
from onnx_reciprocam.serving.rejections import (
    LateError,
    OverloadedError,
    RejectionError,
    SlowClientError,
    TooLargeError,
    UnauthorizedError,
    UnknownModelError,
    UnsupportedMediaError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from onnx_reciprocam.serving.intake import Intake
    from onnx_reciprocam.serving.settings import Settings

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_OPEN = re.compile(r"/|/v2/health/(live|ready)|/v[12]/models/[^/]+/ready|/v1/models/[^/:]+")
"""Health: asked by what has no key."""

_MODEL = re.compile(r"/v1/models/(?P<v1>[^/]+):(?P<verb>predict|explain)|/v2/models/(?P<v2>[^/]+)/infer")
_LINGER = 1.0
"""Seconds that a refused client may go on to send."""

_PLAIN_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass
class _Exchange:
    """One request and its answer."""

    scope: MutableMapping[str, Any]
    headers: dict[bytes, bytes]
    started: float = field(default_factory=time.perf_counter)
    body: bytes = b""
    status: int = 0
    answer_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: bytes = b""
    reason: str = ""
    refused: bool = False

    @property
    def model(self) -> tuple[str, str]:
        """Name and verb, empty where none is asked."""
        if self.scope["method"] != "POST" or not (found := _MODEL.fullmatch(self.scope["path"])):
            return "", ""
        return found["v1"] or found["v2"], found["verb"] or "infer"

    @cached_property
    def request_id(self) -> bytes:
        """The client's own, or one drawn for it."""
        given = self.headers.get(b"x-request-id", b"")
        return given if _PLAIN_ID.fullmatch(given) else uuid.uuid4().hex.encode()

    def fail(self, error: BaseException) -> None:
        """Let the answer be why there is none."""
        failure = failure_of(error)
        self.status, self.answer, self.reason = failure.status, failure.body, failure.reason
        self.answer_headers = [(key.encode(), value.encode("latin-1")) for key, value in failure.headers.items()]
        if failure.is_ours:
            log_fault(error, self.scope["path"])


class Guard:
    """An ASGI application around another: keys, sizes, time limits, the queue, and a line of log per request.

    The body is read before the inner application is asked and its answer is sent after it is done, so that what waits for a
    client never holds a place of the queue.

    Args:
        app: What answers.
        settings: The limits.
        intake: What is taken on, over all protocols.
        models: Names that exist, for the metrics' labels.
    """

    def __init__(self, app: App, settings: Settings, intake: Intake, models: Collection[str]) -> None:
        self._app, self._settings, self._intake, self._models = app, settings, intake, models

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = _Exchange(scope, dict(scope["headers"]))
        facts = take_notes()
        try:
            await self._answer(exchange, receive)
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            exchange.fail(error)
        except asyncio.CancelledError:
            if not self._intake.draining:
                raise
            exchange.fail(OverloadedError("the service was stopped before it had the answer."))
        finally:
            self._intake.release(len(exchange.body))
        sent = await self._send(exchange, send)
        self._report(exchange, facts, sent=sent)

    async def _answer(self, exchange: _Exchange, receive: Receive) -> None:
        try:
            self._admit(exchange)
            if exchange.scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
                await self._read(exchange, receive)
        except RejectionError:
            exchange.refused = True
            if b"expect" not in exchange.headers:
                await self._discard(receive)
            raise
        if not exchange.model[0]:
            await self._ask(exchange)
            return
        with self._intake.place():
            await self._ask(exchange)

    def _admit(self, exchange: _Exchange) -> None:
        """Judge by the head alone."""
        path, headers = exchange.scope["path"], exchange.headers
        is_open = exchange.scope["method"] in {"GET", "HEAD"} and _OPEN.fullmatch(path)
        keys = self._settings.keys
        if keys and not is_open and not opens(headers.get(b"authorization", b""), keys):
            raise UnauthorizedError("this service asks for a key: send it as the header 'Authorization: Bearer KEY'.")
        if "/versions/" in path or b"model_version" in exchange.scope["query_string"]:
            raise UnknownModelError("models have no versions here; ask for the model by its name alone.")
        if path.startswith("/v2/repository/"):
            raise UnknownModelError("models are neither loaded nor unloaded while this service runs.")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedMediaError("send the body as it is, not compressed.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:18]) > self._settings.max_body:
            raise TooLargeError(f"the body is {length.decode()[:18]} bytes, above {self._settings.max_body:,}.")

    async def _read(self, exchange: _Exchange, receive: Receive) -> None:
        """The body, in the time and within the size that it may have."""
        body = bytearray()
        try:
            await asyncio.wait_for(self._fill(body, receive), self._settings.client_timeout)
        except asyncio.TimeoutError as error:
            raise SlowClientError(
                f"the request took more than {self._settings.client_timeout:g} s to arrive."
            ) from error
        finally:
            exchange.body = bytes(body)

    async def _fill(self, body: bytearray, receive: Receive) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise SlowClientError("the client went away.")
            chunk = message.get("body", b"")
            self._intake.hold(len(chunk))
            body += chunk
            if len(body) > self._settings.max_body:
                raise TooLargeError(f"the body is above {self._settings.max_body:,} bytes.")
            more = message.get("more_body", False)

    @staticmethod
    async def _discard(receive: Receive) -> None:
        """What a refused client goes on to send, for a moment: it reads its answer only once it has sent everything."""

        async def read() -> None:
            while (await receive()).get("more_body", False):
                pass

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(read(), _LINGER)

    async def _ask(self, exchange: _Exchange) -> None:
        """The inner application, its answer kept."""
        body = [exchange.body]

        async def receive() -> Message:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            return await asyncio.Future()  # nobody else listens for a disconnect

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status, exchange.answer_headers = message["status"], list(message.get("headers", []))
            else:
                exchange.answer += message.get("body", b"")

        try:
            await asyncio.wait_for(self._app(exchange.scope, receive, send), self._settings.timeout)
        except asyncio.TimeoutError as error:
            raise LateError(f"no answer within {self._settings.timeout:g} s.") from error

    async def _send(self, exchange: _Exchange, send: Send) -> bool:
        """Whether the client took the answer in the time that it has."""
        answer = exchange.answer
        added = [
            (b"content-length", str(len(answer)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-request-id", exchange.request_id),
        ]
        if self._intake.draining or exchange.refused:
            added.append((b"connection", b"close"))
        taken = {name for name, _ in added}
        headers = [(name, value) for name, value in exchange.answer_headers if name.lower() not in taken] + added
        try:
            await asyncio.wait_for(self._deliver(send, exchange.status, headers, answer), self._settings.client_timeout)
        except asyncio.TimeoutError:
            exchange.scope["extensions"][ABORT]()
            await asyncio.sleep(0.01)  # uvicorn learns of it before it finds the answer cut short
            return False
        return True

    @staticmethod
    async def _deliver(send: Send, status: int, headers: list[tuple[bytes, bytes]], answer: bytes) -> None:
        """In pieces, so that each waits until the client has taken the last."""
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        for i in range(0, len(answer), piece := 1 << 18):
            await send({"type": "http.response.body", "body": answer[i : i + piece], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _report(self, exchange: _Exchange, facts: dict[str, Any], *, sent: bool) -> None:
        """Metrics and the line of log."""
        seconds = time.perf_counter() - exchange.started
        name, verb = exchange.model
        if name in self._models:
            measures.answered(name, "rest", verb, str(int(exchange.status)), seconds)
        if exchange.refused or exchange.status == HTTPStatus.SERVICE_UNAVAILABLE:
            measures.REFUSED.labels(str(int(exchange.status))).inc()
        client = exchange.scope.get("client")
        line = {
            "protocol": "rest", "method": exchange.scope["method"], "path": exchange.scope["path"][:200],
            "status": int(exchange.status), "ms": round(1000 * seconds, 2), "bytes_in": len(exchange.body),
            "bytes_out": len(exchange.answer), "client": client[0] if client else "",
        }  # fmt: skip
        line |= {"id": exchange.request_id.decode()} | ({"model": name[:200], "verb": verb} if name else {})
        line |= {"error": exchange.reason} if exchange.reason else {}
        line |= {} if sent else {"error": "the client did not take the answer"}
        log("request", line | facts)
