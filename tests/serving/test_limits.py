"""What is too much, too large, too late or not allowed gets one clear line, and the service lives on."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc
from picture_bombs import png_of
from served_models import images, picture
from services import Service, model_address
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = ("a key that opens".replace(" ", "-"), "another-key-that-opens")
MEGABYTE = 10**6


def grpc_infer(service: Service, count: int = 1, **how: Any) -> Any:
    batch = images(count)
    tensor = tritonclient.grpc.InferInput("image", batch.shape, "FP32")
    tensor.set_data_from_numpy(batch)
    with tritonclient.grpc.InferenceServerClient(service.grpc) as client:
        return client.infer("first", [tensor], **how)


def test_a_body_that_says_it_is_too_large(service: Service) -> None:
    answer = httpx.post(model_address(service, "first", "predict"), content=bytes(MEGABYTE + 1))
    assert answer.status_code == 413
    assert answer.json() == {"error": "the body is 1000001 bytes, above 1,000,000."}
    assert answer.headers["connection"] == "close"


def test_a_body_that_turns_out_too_large(service: Service) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(100_000)

    answer = httpx.post(model_address(service, "first", "predict"), content=pieces())
    assert answer.status_code == 413
    assert answer.json() == {"error": "the body is above 1,000,000 bytes."}


def test_a_grpc_message_that_is_too_large(service: Service) -> None:
    with pytest.raises(InferenceServerException, match="larger than max"):
        grpc_infer(service, count=400)
    assert service.lives()


def test_a_body_of_just_the_limit(service: Service) -> None:
    body = picture().ljust(MEGABYTE, b"\0")  # decoders ignore what follows a picture
    assert httpx.post(model_address(service, "first", "predict"), content=body).status_code == 200


def test_a_compressed_body(service: Service) -> None:
    answer = httpx.post(model_address(service, "first", "predict"), headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize("size", [(20_000, 20_000), (2, 900_000)])
def test_a_decompression_bomb(service: Service, size: tuple[int, int]) -> None:
    """A megapixel is the limit here; the header decides, so nothing is decoded."""
    bomb = png_of(*size)
    assert len(bomb) < MEGABYTE
    answer = httpx.post(model_address(service, "first", "predict"), content=bomb)
    assert answer.status_code == 413
    assert "pixels are above 1,000,000" in answer.json()["error"]


def test_many_pictures_are_one_bomb(service: Service) -> None:
    whole = {"b64": base64.b64encode(png_of(600, 600)).decode()}
    address = model_address(service, "first", "predict")
    assert httpx.post(address, json={"instances": [whole] * 2}).status_code == 200
    answer = httpx.post(address, json={"instances": [whole] * 3})
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("1,080,000 pixels are above 1,000,000")


def test_a_picture_that_resizing_makes_enormous(service: Service) -> None:
    answer = httpx.post(model_address(service, "first", "predict"), content=png_of(1, 900_000))
    assert answer.status_code in {200, 400}
    assert service.lives()


@pytest.fixture(scope="module")
def slow(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two seconds per run, three places in the queue, one image per run."""
    folder = tmp_path_factory.mktemp("slow")
    limits = ("--max-queue", "3", "--timeout", "5", "--max-batch", "1")
    with Service(folder, [files["first"]], *limits, seconds=2.0) as running:
        yield running
        assert running.lives()


async def burst(service: Service, count: int) -> list[httpx.Response]:
    async with httpx.AsyncClient(timeout=60) as client:
        address = model_address(service, "first", "predict")
        return await asyncio.gather(*(client.post(address, content=picture()) for _ in range(count)))


def test_a_full_queue(slow: Service) -> None:
    answers = asyncio.run(burst(slow, 12))
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 503, 504} or set(codes) == {200, 503}
    assert codes.count(503) == 9
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert refused.json() == {"error": "all 3 places of the queue are taken; try again."}
    assert slow.metric("reciprocam_refused_total", code="503") >= 9
    assert slow.metric("reciprocam_busy_requests") == 0


def test_a_request_that_waits_too_long(slow: Service) -> None:
    answers = asyncio.run(burst(slow, 3))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 504]
    (late,) = (answer for answer in answers if answer.status_code == 504)
    assert late.json() == {"error": "no answer within 5 s."}


def test_a_deadline_of_grpc(slow: Service) -> None:
    with pytest.raises(InferenceServerException, match=r"Deadline Exceeded|DEADLINE_EXCEEDED"):
        grpc_infer(slow, client_timeout=0.2)
    assert slow.lives()


def test_a_full_queue_over_grpc(slow: Service) -> None:
    async def calls() -> list[Any]:
        import tritonclient.grpc.aio

        tensor = tritonclient.grpc.InferInput("image", (1, 3, 16, 16), "FP32")
        tensor.set_data_from_numpy(images(1))
        async with tritonclient.grpc.aio.InferenceServerClient(slow.grpc) as client:
            return await asyncio.gather(*(client.infer("first", [tensor]) for _ in range(10)), return_exceptions=True)

    found = asyncio.run(calls())
    refused = [each for each in found if isinstance(each, InferenceServerException)]
    assert [each.status() for each in refused].count("StatusCode.UNAVAILABLE") == 7
    assert any(not isinstance(each, Exception) for each in found)


@pytest.fixture(scope="module")
def locked(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "keys").write_text(f"{KEYS[0]}\n\n{KEYS[1]}\n")
    with Service(folder, [files["first"]], "--api-key-file", str(folder / "keys")) as running:
        yield running


PROTECTED = {
    "/v1/models/first:predict": "POST", "/v1/models/first:explain": "POST", "/v2/models/first/infer": "POST",
    "/v2/models/first": "GET", "/v2": "GET", "/v1/models": "GET", "/metrics": "GET", "/openapi.json": "GET",
    "/nowhere": "GET", "/v2/health/live": "POST", "/v1/models/first/ready/": "GET", "/v2/health/live/": "GET",
}  # fmt: skip
OPEN = ("/", "/v2/health/live", "/v2/health/ready", "/v2/models/first/ready", "/v1/models/first")
WRONG = ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {KEYS[0]}"}, {"authorization": KEYS[0]},
         {"authorization": "Bearer"}, {"authorization": f"Bearer {KEYS[0]}x"}, {"authorization": f"Bearer {KEYS[0][:-1]}"},
         {"authorization": b"Bearer \xff\xfe"})  # fmt: skip


@pytest.mark.parametrize("headers", WRONG)
@pytest.mark.parametrize("path", PROTECTED)
def test_without_a_key(locked: Service, path: str, headers: dict[str, Any]) -> None:
    answer = httpx.request(PROTECTED[path], locked.url + path, headers=headers, content=picture())
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer KEY" in answer.json()["error"]


@pytest.mark.parametrize("key", KEYS)
def test_with_a_key(locked: Service, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    address = model_address(locked, "first", "explain")
    answer = httpx.post(address, headers=headers, content=picture())
    assert answer.status_code == 200
    assert key not in str(answer.headers)
    grpc_infer(locked, headers=headers)
    assert httpx.get(f"{locked.url}/metrics", headers=headers).status_code == 200
    assert not any(key in str(line) for line in locked.log())


@pytest.mark.parametrize("path", OPEN)
def test_health_needs_no_key(locked: Service, path: str) -> None:
    assert httpx.get(locked.url + path).status_code == 200


def test_grpc_without_a_key(locked: Service) -> None:
    for headers in (None, {"authorization": "Bearer wrong"}):
        with pytest.raises(InferenceServerException, match="authorization: Bearer KEY"):
            grpc_infer(locked, headers=headers)
    with tritonclient.grpc.InferenceServerClient(locked.grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("first")
        with pytest.raises(InferenceServerException, match="authorization: Bearer KEY"):
            client.get_model_metadata("first")


def test_bytes_that_are_no_message(service: Service) -> None:
    """What is no protobuf of the method is refused by gRPC itself."""
    with grpc.insecure_channel(service.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as raised:
            call(np.random.default_rng(0).bytes(100))
    assert raised.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    assert service.lives()
