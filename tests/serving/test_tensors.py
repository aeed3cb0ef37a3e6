"""Tensors in, tensors out, through NVIDIA's own clients of the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from served_models import CLASSES, SIDE, images
from services import model_address
from tritonclient.utils import InferenceServerException

import onnx_reciprocam

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services import Service

    from onnx_reciprocam import ExplainedSession

CLIENTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}


class Client:
    """Either of the two, which differ in little."""

    def __init__(self, service: Service, protocol: str) -> None:
        self.kind = CLIENTS[protocol]
        address = service.url.removeprefix("http://") if protocol == "http" else service.grpc
        self.raw: Any = self.kind.InferenceServerClient(address)

    def infer(self, name: str, arrays: dict[str, np.ndarray], outputs: tuple[str, ...] = (), **how: Any) -> Any:
        inputs = []
        for key, array in arrays.items():
            kind = {"f": "FP32", "i": "INT64", "b": "BOOL"}[array.dtype.kind]
            tensor = self.kind.InferInput(key, array.shape, kind)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        wanted = [self.kind.InferRequestedOutput(output) for output in outputs] or None
        return self.raw.infer(name, inputs, outputs=wanted, **how)


@pytest.fixture(params=CLIENTS)
def client(service: Service, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(service, request.param)
    yield made
    made.raw.close()


def metadata(client: Client, *of: str) -> dict[str, Any]:
    as_json = {} if client.kind is tritonclient.http else {"as_json": True}
    found: dict[str, Any] = (
        client.raw.get_model_metadata(*of, **as_json) if of else client.raw.get_server_metadata(**as_json)
    )
    return found


def test_health_and_metadata(client: Client) -> None:
    assert client.raw.is_server_live()
    assert client.raw.is_server_ready()
    assert client.raw.is_model_ready("first")
    about = metadata(client)
    assert (about["name"], about["version"]) == ("onnx-reciprocam", onnx_reciprocam.__version__)
    described = metadata(client, "first")
    (image,) = described["inputs"]
    assert (image["name"], image["datatype"], [int(side) for side in image["shape"]]) == (
        "image",
        "FP32",
        [-1, 3, SIDE, SIDE],
    )
    assert [output["name"] for output in described["outputs"]] == ["logits", "saliency", "saliency_classes"]


@pytest.mark.parametrize("name", ["first", "best", "static", "coupled", "switch"])
@pytest.mark.parametrize("count", [1, 3])
def test_everything_by_the_files_own_names(
    client: Client, sessions: dict[str, ExplainedSession], name: str, count: int
) -> None:
    batch = images(count)
    answer = client.infer(name, {"image": batch})
    size = 1 if name == "static" else count
    wants = [sessions[name](batch[i : i + size]) for i in range(0, count, size)]
    pairs = {"logits": "predictions", "saliency": "saliency", "saliency_classes": "classes"}
    for output, role in pairs.items():
        want = np.concatenate([getattr(each, role) for each in wants])
        assert answer.as_numpy(output).dtype == want.dtype
        np.testing.assert_allclose(answer.as_numpy(output), want, rtol=1e-6, atol=1e-6)


def test_outputs_by_their_roles(client: Client, sessions: dict[str, ExplainedSession]) -> None:
    answer = client.infer("first", {"image": images(2)}, ("saliency", "predictions"))
    want = sessions["first"](images(2))
    np.testing.assert_allclose(answer.as_numpy("predictions"), want.predictions, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(answer.as_numpy("saliency"), want.saliency, rtol=1e-6, atol=1e-6)
    assert answer.as_numpy("logits") is None


def test_class_ids_as_a_tensor_and_as_a_parameter(client: Client, sessions: dict[str, ExplainedSession]) -> None:
    ids = np.array([[3, 1], [0, 4]])
    answer = client.infer("asked", {"image": images(2), "saliency_class_ids": ids})
    want = sessions["asked"](images(2), class_ids=ids)
    np.testing.assert_allclose(answer.as_numpy("saliency"), want.saliency, rtol=1e-6, atol=1e-6)
    answer = client.infer("asked", {"image": images(2)}, parameters={"class_ids": "3,1"})
    want = sessions["asked"](images(2), class_ids=[[3, 1], [3, 1]])
    np.testing.assert_allclose(answer.as_numpy("saliency"), want.saliency, rtol=1e-6, atol=1e-6)


def test_the_switch(client: Client) -> None:
    batch = {"image": images(2)}

    def maps(answer: Any) -> int:
        return int(answer.as_numpy("saliency").shape[1])

    assert maps(client.infer("switch", batch)) == 1
    assert maps(client.infer("switch", batch, parameters={"explain": False})) == 0
    assert maps(client.infer("switch", {**batch, "explain": np.array([False])})) == 0
    assert client.infer("switch", batch, ("logits",)).as_numpy("logits").shape == (2, CLASSES)


def test_the_switch_is_off_where_no_map_is_asked_for(service: Service, client: Client) -> None:
    before = service.metric("reciprocam_maps_total", model="switch")
    client.infer("switch", {"image": images(2)}, ("predictions",))
    assert service.metric("reciprocam_maps_total", model="switch") == before
    client.infer("switch", {"image": images(2)}, ("predictions", "saliency"))
    assert service.metric("reciprocam_maps_total", model="switch") == before + 2


@pytest.mark.parametrize(
    ("name", "arrays", "outputs", "says"),
    [
        ("nobody", {"image": images(1)}, (), "nobody"),
        ("first", {"picture": images(1)}, (), "input 'image' is missing; the request has picture"),
        ("first", {"image": images(1), "more": images(1)}, (), "no such further input"),
        ("first", {"image": images(1)[:, :2]}, (), "takes \\?x3x16x16, got 1x2x16x16"),
        ("first", {"image": images(1)[0]}, (), "put the batch axis in front"),
        ("first", {"image": images(1) * np.float32(np.nan)}, (), "NaN"),
        ("first", {"image": images(1)}, ("logit",), "there is no output 'logit'; there are logits, saliency"),
        ("asked", {"image": images(1)}, (), "hand class_ids"),
        ("asked", {"image": images(1), "saliency_class_ids": np.array([[CLASSES]])}, (), "classes count from 0"),
    ],
)
def test_what_is_wrong_is_said(
    client: Client, name: str, arrays: dict[str, np.ndarray], outputs: tuple[str, ...], says: str
) -> None:
    with pytest.raises(InferenceServerException, match=says):
        client.infer(name, arrays, outputs)


def test_models_are_neither_loaded_nor_unloaded(client: Client) -> None:
    for verb in (client.raw.load_model, client.raw.unload_model):
        with pytest.raises(InferenceServerException, match="neither loaded nor unloaded"):
            verb("first")
    assert client.raw.is_model_ready("first")


def test_json_alone(service: Service, sessions: dict[str, ExplainedSession]) -> None:
    batch = images(2)
    tensor = {"name": "image", "shape": list(batch.shape), "datatype": "FP32", "data": batch.tolist()}
    answer = httpx.post(model_address(service, "first", "infer"), json={"id": "mine", "inputs": [tensor]}).json()
    assert (answer["model_name"], answer["id"]) == ("first", "mine")
    found = {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer["outputs"]}
    want = sessions["first"](batch)
    np.testing.assert_allclose(found["saliency"], want.saliency, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["logits"], want.predictions, rtol=1e-6, atol=1e-6)


TENSOR = {"name": "image", "shape": [1, 3, SIDE, SIDE], "datatype": "FP32", "data": [0.5] * (3 * SIDE * SIDE)}


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (TENSOR | {"name": 7}, "'name' is a text"),
        (TENSOR | {"shape": "1"}, "'shape' is a list"),
        (TENSOR | {"shape": [-1, 3, SIDE, SIDE]}, "is no shape"),
        (TENSOR | {"shape": [1, 3, SIDE]}, "are not of shape"),
        (TENSOR | {"shape": [True, 3, SIDE, "16"]}, "is no shape"),
        (TENSOR | {"datatype": "FP31"}, "does not take datatype"),
        (TENSOR | {"datatype": "BYTES"}, "does not take datatype"),
        (TENSOR | {"data": ["0.5"] * (3 * SIDE * SIDE)}, "no list of numbers"),
        (TENSOR | {"data": [None] * (3 * SIDE * SIDE)}, "no list of numbers"),
        (TENSOR | {"data": [[1], [2, 3]]}, "no list of numbers"),
        (TENSOR | {"data": [1]}, "are not of shape"),
        (TENSOR | {"parameters": []}, "'parameters' is an object"),
        ({"name": "image"}, "'datatype' is a text"),
        (7, "'inputs' is a list of objects"),
    ],
)
def test_json_that_is_no_tensor(service: Service, tensor: Any, says: str) -> None:
    answer = httpx.post(model_address(service, "first", "infer"), json={"inputs": [tensor]})
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "999999", "7.0", "x", ""])
def test_a_wrong_length_of_the_json(service: Service, length: str) -> None:
    headers = {"inference-header-content-length": length}
    answer = httpx.post(model_address(service, "first", "infer"), content=b'{"inputs": []}', headers=headers)
    assert answer.status_code == 400
    assert "bytes" in answer.json()["error"] or "no JSON" in answer.json()["error"]
