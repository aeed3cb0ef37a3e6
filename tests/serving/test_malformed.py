"""Whatever arrives, the answer is right or a clean refusal, and the service lives."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_models import SIDE, picture
from services import model_address
from tritonclient.grpc.service_pb2 import InferTensorContents, ModelInferRequest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

if TYPE_CHECKING:
    from services import Service

often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

REFUSED = {400, 413, 415}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def clean(answer: httpx.Response, *allowed: int) -> None:
    """A result, or a refusal in one line."""
    assert answer.status_code in (REFUSED | {200} | set(allowed)), answer.text
    if answer.status_code != 200:
        assert set(answer.json()) == {"error"}
        assert "\n" not in answer.json()["error"]
        assert "Traceback" not in answer.text


@pytest.fixture(scope="module")
def client() -> Any:
    with httpx.Client(timeout=60) as made:
        yield made


def changed(whole: bytes) -> st.SearchStrategy[bytes]:
    """A file with some bytes replaced, or cut off."""
    edits = st.lists(st.tuples(st.integers(0, min(len(whole), 400) - 1), st.integers(0, 255)), max_size=6)

    def apply(cut: int, changes: list[tuple[int, int]]) -> bytes:
        data = bytearray(whole)
        for place, value in changes:
            data[place] = value
        return bytes(data[:cut])

    return st.builds(apply, st.integers(0, len(whole)) | st.just(len(whole)), edits)


@often
@given(data=st.data(), ending=st.sampled_from([".png", ".jpg", ".webp"]))
def test_damaged_pictures(service: Service, client: httpx.Client, ending: str, data: st.DataObject) -> None:
    body = data.draw(changed(picture(1, ending)))
    clean(client.post(model_address(service, "first", "explain"), content=body))


@often
@given(
    body=st.binary(max_size=300), kind=st.sampled_from(["application/json", "image/png", "", "text/plain", "a/json"])
)
def test_noise(service: Service, client: httpx.Client, body: bytes, kind: str) -> None:
    for verb in ("predict", "infer"):
        clean(client.post(model_address(service, "first", verb), content=body, headers={"content-type": kind}))


@often
@given(said=st.dictionaries(st.sampled_from(["instances", "parameters", "x"]), values))
def test_json_of_pictures(service: Service, client: httpx.Client, said: dict[str, Any]) -> None:
    clean(client.post(model_address(service, "first", "explain"), content=json.dumps(said)))


@often
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()))
def test_base64(service: Service, client: httpx.Client, text: str) -> None:
    clean(client.post(model_address(service, "first", "predict"), json={"instances": [{"b64": text}]}))


@often
@given(
    body=st.builds(
        lambda tensor, rest: json.dumps({"inputs": [tensor], **rest}).encode(),
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["image", "other", ""]) | values,
                "shape": st.lists(st.integers(-3, 20), max_size=5) | st.just([1, 3, SIDE, SIDE]) | values,
                "datatype": st.sampled_from(["FP32", "INT64", "BOOL", "BYTES", "FP16", "fp32"]) | values,
                "data": st.lists(st.floats(allow_nan=False), max_size=5) | st.just([0.0] * (3 * SIDE * SIDE)) | values,
                "parameters": st.dictionaries(st.sampled_from(["binary_data_size"]), values) | values,
            },
        ),
        st.fixed_dictionaries({}, optional={"id": values, "parameters": values, "outputs": values}),
    ),
    length=st.none() | st.integers(-5, 2000) | st.text("0123456789- ", max_size=5),
    tail=st.binary(max_size=50),
)
def test_json_of_tensors(service: Service, client: httpx.Client, body: bytes, length: object, tail: bytes) -> None:
    headers = {} if length is None else {"inference-header-content-length": str(length).strip()}
    clean(client.post(model_address(service, "first", "infer"), content=body + tail, headers=headers))


@often
@given(
    query=st.dictionaries(st.sampled_from(["top", "rank", "class_ids"]), st.text(max_size=12)),
    accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
)
def test_queries_and_accept(service: Service, client: httpx.Client, query: dict[str, str], accept: str) -> None:
    headers = {"accept": accept}
    clean(client.post(model_address(service, "first", "explain"), content=picture(), params=query, headers=headers))


@often
@given(name=st.text(max_size=30), verb=st.sampled_from([":predict", ":explain", "/infer", "", "/ready"]))
def test_names(service: Service, client: httpx.Client, name: str, verb: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, f"{service.url}/v1/models/{quote(name, safe='')}{verb}")
        assert answer.status_code in {200, 307, 400, 404, 405}, answer.text


tensors_of_grpc = st.builds(
    ModelInferRequest.InferInputTensor,
    name=st.sampled_from(["image", "other"]),
    shape=st.lists(st.integers(-(2**62), 2**62) | st.integers(-2, 20), max_size=5) | st.just([1, 3, SIDE, SIDE]),
    datatype=st.sampled_from(["FP32", "FP16", "INT64", "BYTES", "BOOL", "", "FP32 "]),
    contents=st.none()
    | st.builds(InferTensorContents, fp32_contents=st.lists(st.floats(width=32), max_size=4))
    | st.builds(InferTensorContents, bytes_contents=st.lists(st.binary(max_size=9), max_size=4)),
)


@often
@given(
    tensors=st.lists(tensors_of_grpc, max_size=2),
    raw=st.lists(st.binary(max_size=40) | st.just(bytes(4 * 3 * SIDE * SIDE)), max_size=3),
)
def test_messages_of_grpc(service: Service, tensors: list[Any], raw: list[bytes]) -> None:
    request = ModelInferRequest(model_name="first", inputs=tensors, raw_input_contents=raw)
    code = grpc.StatusCode.OK
    with grpc.insecure_channel(service.grpc) as channel:
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(request)
        except grpc.RpcError as error:
            code = error.code()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}


def test_it_lives(service: Service) -> None:
    assert service.lives()
    assert not [line for line in service.log() if line["event"] == "fault"]
