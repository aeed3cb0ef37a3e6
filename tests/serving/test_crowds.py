"""Many clients, slow ones, and an end in the middle of it all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
from served_models import images, picture
from services import Service, model_address

from onnx_reciprocam.visualise import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx_reciprocam import ExplainedSession

HEAD = b"POST /v1/models/first:predict HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture(scope="module")
def hasty(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Gives a client half a second."""
    folder = tmp_path_factory.mktemp("hasty")
    with Service(folder, [files["first"]], "--client-timeout", "0.5", "--max-connections", "20") as running:
        yield running
        assert running.lives()


def connect(service: Service) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").partition(":")
    made = socket.create_connection((host, int(port)))
    made.settimeout(30)
    return made


def everything(connection: socket.socket) -> bytes:
    """Until the service closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "start", [b"", b"POST /v1/mod", HEAD, b"\r\n"], ids=["nothing", "half a line", "half a head", "an empty line"]
)
def test_a_head_that_does_not_come(hasty: Service, start: bytes) -> None:
    with connect(hasty) as connection:
        connection.sendall(start)
        assert everything(connection) == b""


def test_a_second_head_that_does_not_come(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"live":true}'):
            answer += connection.recv(1 << 16)
        connection.sendall(b"GET /v2/hea")
        assert everything(connection) == b""


def test_a_body_that_does_not_come(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.sendall(HEAD + b"content-length: 1000\r\n\r\nsome")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"took more than 0.5 s to arrive" in answer


def test_a_body_that_trickles(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.sendall(HEAD + b"content-length: 1000\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(20):
                connection.sendall(b"x")
                time.sleep(0.1)
        assert everything(connection).startswith((b"HTTP/1.1 408 ", b""))
    assert hasty.log("request")[-1]["status"] == 408


def test_a_client_that_goes_away(hasty: Service) -> None:
    before = len(hasty.log("request"))
    with connect(hasty) as connection:
        connection.sendall(HEAD + b"content-length: 1000\r\n\r\nsome")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line = hasty.wait_for("request", before + 1)
    assert line["error"] == "the client went away."


def test_a_client_that_does_not_take_its_answer(hasty: Service) -> None:
    """The answer is larger than what the two kernels hold for it."""
    side = 2000
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    body = encode(pixels, ".jpg", 60)
    with connect(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = HEAD.replace(b"predict", b"explain") + b"accept: image/png\r\n"
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        give_up = time.monotonic() + 60
        while not any("did not take" in str(line.get("error")) for line in hasty.log("request")):
            assert time.monotonic() < give_up
            time.sleep(0.05)


def test_a_head_that_does_not_end(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.sendall(HEAD)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(200):
                connection.sendall(b"x: " + b"y" * 1000 + b"\r\n")
        answer = everything(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
    assert hasty.lives()


def test_what_is_no_http(hasty: Service) -> None:
    for noise in (
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        with connect(hasty) as connection:
            connection.sendall(noise)
            assert everything(connection).startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))


def test_a_thousand_connections_at_once(service: Service, sessions: dict[str, ExplainedSession]) -> None:
    """All are open before the first one asks; each answer is right or says that there is no room."""
    want = sessions["first"].explain_image(picture()).top(1)[0].class_id

    async def ask(line: bytes, body: bytes) -> list[bytes]:
        host, _, port = service.url.removeprefix("http://").partition(":")
        pairs = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(1000)))
        for _, writer in pairs:
            writer.write(line + body)
        answers = await asyncio.gather(*(reader.read() for reader, _ in pairs))
        for _, writer in pairs:
            writer.close()
        return answers

    body = picture()
    head = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    answers = asyncio.run(ask(head, body))
    codes = [int(answer.split(b" ", 2)[1]) for answer in answers if answer]
    assert len(codes) == 1000
    assert set(codes) <= {200, 503}
    assert codes.count(200) >= 64
    for answer in answers:
        expected = (
            b'{"predictions":[{"classes":[{"class_id":%d' % want if b" 200 " in answer[:20] else b'{"error":"all 64'
        )
        assert answer.partition(b"\r\n\r\n")[2].startswith(expected)


def test_one_connection_too_many(hasty: Service) -> None:
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(connect(hasty)) for _ in range(25)]
        answer = everything(many[-1])
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(body) in head


def test_requests_behind_each_other_on_one_connection(hasty: Service) -> None:
    one = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n"
    with connect(hasty) as connection:
        connection.sendall((one + b"\r\n") * 3 + one + b"connection: close\r\n\r\n")
        assert everything(connection).count(b'{"live":true}') == 4


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
def test_the_end_comes_after_the_last_answer(
    files: dict[str, Path], sessions: dict[str, ExplainedSession], tmp_path: Path, how: str
) -> None:
    """Twelve runs of half a second over both protocols are under way; every one is answered, and right."""
    with Service(tmp_path, [files["first"]], "--max-batch", "1", seconds=0.5) as running:
        answers, outcome = asyncio.run(end_under_load(running, how))
        assert running.process.wait(60) == 0
    want = sessions["first"].explain_image(picture()).top(1)[0].class_id
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {answer.json()["predictions"][0]["classes"][0]["class_id"] for answer in answers} == {want}
    for found in outcome:
        np.testing.assert_allclose(found.as_numpy("saliency"), sessions["first"](images(1)).saliency, atol=1e-6)
    assert [line["event"] for line in running.log()][-1] == "stopped"
    with pytest.raises(httpx.ConnectError, match="refused"):
        httpx.get(running.url)


async def end_under_load(service: Service, how: str) -> tuple[list[httpx.Response], list[object]]:
    tensor = tritonclient.grpc.InferInput("image", (1, 3, 16, 16), "FP32")
    tensor.set_data_from_numpy(images(1))
    async with (
        httpx.AsyncClient(timeout=60) as client,
        tritonclient.grpc.aio.InferenceServerClient(service.grpc) as remote,
    ):
        address = model_address(service, "first", "predict")
        calls = [asyncio.create_task(client.post(address, content=picture())) for _ in range(8)]
        remotes = [asyncio.create_task(remote.infer("first", [tensor])) for _ in range(4)]
        await asyncio.to_thread(wait_until_busy, service, 12)
        service.process.send_signal(getattr(signal, how))
        return await asyncio.gather(*calls), await asyncio.gather(*remotes)


def wait_until_busy(service: Service, count: int) -> None:
    """So many requests have arrived, and some of them are not answered."""
    give_up = time.monotonic() + 60
    while (busy := service.metric("reciprocam_busy_requests")) + answered(service) < count:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert busy


def answered(service: Service) -> int:
    return sum(1 for line in service.log("request") if line.get("model") == "first")


def in_background(service: Service) -> tuple[threading.Thread, list[int]]:
    """A request, and where the status of its answer will be."""
    codes: list[int] = []

    def ask() -> None:
        codes.append(httpx.post(model_address(service, "first", "predict"), content=picture(), timeout=60).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until_busy(service, 1)
    return thread, codes


def test_readiness_ends_before_the_service_does(files: dict[str, Path], tmp_path: Path) -> None:
    """A balancer that still has a connection is told to look elsewhere."""
    with Service(tmp_path, [files["first"]], seconds=2.0) as running, httpx.Client(timeout=60) as client:
        thread, codes = in_background(running)
        assert client.get(f"{running.url}/v2/health/ready").json() == {"ready": True}
        running.process.terminate()
        running.wait_for("stopping")
        late = client.get(f"{running.url}/v2/health/ready")
        assert (late.status_code, late.headers["connection"]) == (503, "close")
        assert running.process.wait(60) == 0
        thread.join()
    assert codes == [200]


def test_grace_ends_as_well(files: dict[str, Path], tmp_path: Path) -> None:
    """What takes longer than it is told so, and the service ends all the same."""
    with Service(tmp_path, [files["first"]], "--grace", "1", seconds=4.0) as running:
        running.tolerated = "Cancel 1 running task"
        thread, codes = in_background(running)
        running.process.terminate()
        assert running.process.wait(60) == 0
        thread.join()
    assert codes == [503]
