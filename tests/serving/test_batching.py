"""Requests of the same moment share a run, and nobody's answer depends on the company."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from served_models import SIDE, images, picture
from services import Service, model_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx_reciprocam import ExplainedSession

COUNT = 12


@pytest.fixture(scope="module")
def patient(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Waits long enough for company that the machine's load does not matter."""
    folder = tmp_path_factory.mktemp("patient")
    chosen = [files[name] for name in ("first", "static", "coupled", "switch", "asked")]
    with Service(folder, chosen, "--max-delay-ms", "1000", "--max-batch", "4") as running:
        yield running


def tensor(batch: np.ndarray, name: str = "image") -> dict[str, Any]:
    kind = {"f": "FP32", "i": "INT64"}[batch.dtype.kind]
    return {"name": name, "shape": list(batch.shape), "datatype": kind, "data": batch.tolist()}


def at_once(service: Service, name: str, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            address = model_address(service, name, "infer")
            return await asyncio.gather(*(client.post(address, json=body) for body in bodies))

    return asyncio.run(run())


def output(answer: httpx.Response, name: str) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    (found,) = (each for each in answer.json()["outputs"] if each["name"] == name)
    return np.array(found["data"], np.float32).reshape(found["shape"])


def batches(service: Service, name: str) -> list[int]:
    return [line["batch"] for line in service.log("request") if line.get("model") == name and line["status"] == 200]


def test_concurrent_requests_share_runs(patient: Service, sessions: dict[str, ExplainedSession]) -> None:
    runs = patient.metric("reciprocam_batch_size_count", model="first")
    every = images(COUNT)
    answers = at_once(patient, "first", [{"inputs": [tensor(every[i : i + 1])]} for i in range(COUNT)])
    for i, answer in enumerate(answers):
        alone = sessions["first"](every[i : i + 1])
        np.testing.assert_allclose(output(answer, "logits"), alone.predictions, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(output(answer, "saliency"), alone.saliency, rtol=1e-5, atol=1e-6)
    assert patient.metric("reciprocam_batch_size_count", model="first") - runs == COUNT / 4
    assert set(batches(patient, "first")[-COUNT:]) == {4}


def test_a_request_of_many_images_is_asked_in_parts(patient: Service, sessions: dict[str, ExplainedSession]) -> None:
    (answer,) = at_once(patient, "first", [{"inputs": [tensor(images(10))]}])
    want = sessions["first"](images(10))
    np.testing.assert_allclose(output(answer, "logits"), want.predictions, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(output(answer, "saliency"), want.saliency, rtol=1e-5, atol=1e-6)
    assert batches(patient, "first")[-1] == 4


def test_a_static_batch_runs_one_by_one(patient: Service, sessions: dict[str, ExplainedSession]) -> None:
    answers = at_once(patient, "static", [{"inputs": [tensor(images(2, seed))]} for seed in range(3)])
    for seed, answer in enumerate(answers):
        want = [sessions["static"](image[None]).predictions[0] for image in images(2, seed)]
        np.testing.assert_allclose(output(answer, "logits"), want, rtol=1e-5, atol=1e-6)
    assert set(batches(patient, "static")) == {1}


def test_a_file_that_couples_its_batch_is_run_as_it_came(
    patient: Service, sessions: dict[str, ExplainedSession]
) -> None:
    """Its images are quantised with one range for all, so company would change the answer."""
    every = images(6) * np.float32([[[[1]]], [[[50]]]] * 3)
    together, alone = sessions["coupled"](every), sessions["coupled"](every[:1])
    assert np.abs(together.predictions[0] - alone.predictions[0]).max() > 0.01, "the file does not couple"
    answers = at_once(patient, "coupled", [{"inputs": [tensor(every[i : i + 1])]} for i in range(6)])
    for i, answer in enumerate(answers):
        want = sessions["coupled"](every[i : i + 1])
        np.testing.assert_allclose(output(answer, "logits"), want.predictions, rtol=1e-5, atol=1e-6)
    (line,) = patient.log("serving")
    assert line["models"]["coupled"] == {
        "images_per_run": "as sent",
        "why": "scores of an image depend on the others of its batch",
    }


def test_what_does_not_fit_together_runs_apart(patient: Service, sessions: dict[str, ExplainedSession]) -> None:
    """Asked with and without maps, and for one class and two."""
    switched = [{"inputs": [tensor(images(1))], "parameters": {"explain": i % 2 == 0}} for i in range(4)]
    shapes = [output(answer, "saliency").shape for answer in at_once(patient, "switch", switched)]
    assert shapes == [(1, 1, 8, 8), (1, 0, 8, 8)] * 2
    ids = [np.array([[1]]), np.array([[2, 3]]), np.array([[4]])]
    asked = [{"inputs": [tensor(images(1)), tensor(each, "saliency_class_ids")]} for each in ids]
    for each, answer in zip(ids, at_once(patient, "asked", asked), strict=True):
        want = sessions["asked"](images(1), class_ids=each)
        np.testing.assert_allclose(output(answer, "saliency"), want.saliency, rtol=1e-5, atol=1e-6)


def test_nobody_pays_for_anothers_mistake(patient: Service, sessions: dict[str, ExplainedSession]) -> None:
    """Numbers too large for float32 are found when the run begins."""
    wrong = images(1).astype(np.float64)
    wrong[0, 0, 0, 0] = 1e300
    bodies = [{"inputs": [tensor(images(1, seed))]} for seed in range(3)]
    bodies.insert(1, {"inputs": [{**tensor(images(1)), "data": wrong.tolist()}]})
    answers = at_once(patient, "first", bodies)
    assert [answer.status_code for answer in answers] == [200, 400, 200, 200]
    for seed, answer in zip(range(3), [answers[0], *answers[2:]], strict=True):
        want = sessions["first"](images(1, seed))
        np.testing.assert_allclose(output(answer, "logits"), want.predictions, rtol=1e-5, atol=1e-6)


def test_metrics_and_the_log(service: Service) -> None:
    labels = {"model": "second", "protocol": "rest", "verb": "explain", "code": "200"}
    before = service.metric("reciprocam_requests_total", **labels)
    flat = service.metric("reciprocam_flat_maps_total", model="second")
    headers = {"x-request-id": "one-of-mine"}
    answer = httpx.post(model_address(service, "second", "explain"), content=picture(), headers=headers)
    assert answer.headers["x-request-id"] == "one-of-mine"
    assert service.metric("reciprocam_requests_total", **labels) == before + 1
    assert service.metric("reciprocam_request_seconds_count", model="second", verb="explain") >= 1
    assert service.metric("request_explain_seconds_count", model_name="second") >= 1
    assert service.metric("reciprocam_waiting_images", model="second") == 0
    (line,) = (each for each in service.log("request") if each.get("id") == "one-of-mine")
    assert {**line, "time": 0, "ms": 0, "waited_ms": 0, "bytes_out": 0} == {
        "time": 0, "level": "info", "event": "request", "protocol": "rest", "method": "POST", "status": 200, "ms": 0,
        "path": "/v1/models/second:explain", "bytes_in": len(picture()), "bytes_out": 0, "client": "127.0.0.1",
        "model": "second", "verb": "explain", "images": 1, "batch": 1, "waited_ms": 0, "id": "one-of-mine",
    }  # fmt: skip
    assert service.metric("reciprocam_flat_maps_total", model="second") == flat
    nothing = np.zeros((1, 3, SIDE, SIDE), np.float32)
    assert httpx.post(model_address(service, "second", "infer"), json={"inputs": [tensor(nothing)]}).status_code == 200
    assert service.metric("reciprocam_flat_maps_total", model="second") == flat + 1


def test_an_odd_request_id_is_not_repeated(service: Service) -> None:
    headers = {"x-request-id": "x" * 200}
    answer = httpx.get(f"{service.url}/v2/health/live", headers=headers)
    assert answer.headers["x-request-id"] != "x" * 200
