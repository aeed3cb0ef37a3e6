"""Several processes behind one address: they share what is asked, and what they have counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
from served_models import images, picture
from services import Service, model_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx_reciprocam import ExplainedSession

KEY = "a-key-that-opens"
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
"""Or a client of gRPC uses that of another one, which ends at the same worker."""

MANY = 200
"""Connections among which one of two workers gets none about never."""


@pytest.fixture(scope="module")
def two(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two workers."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "keys").write_text(KEY)
    limits = ("--max-body", "1MB", "--api-key-file", str(folder / "keys"))
    with Service(folder, [files["first"], files["asked"]], "--workers", "2", *limits) as running:
        yield running


def askers(service: Service, protocol: str) -> set[int]:
    """Workers that have answered, by the log."""
    return {line["worker"] for line in service.log("request") if line["protocol"] == protocol}


def post(service: Service, content: bytes, key: str = KEY) -> httpx.Response:
    """Over a connection of its own."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(model_address(service, "first", "explain"), headers=headers, content=content, timeout=60)


def infer(service: Service) -> Any:
    tensor = tritonclient.grpc.InferInput("image", (1, 3, 16, 16), "FP32")
    tensor.set_data_from_numpy(images(1))
    with tritonclient.grpc.InferenceServerClient(service.grpc, channel_args=OWN_CONNECTION) as client:
        return client.infer("first", [tensor], headers={"authorization": f"Bearer {KEY}"})


def numbers(service: Service) -> dict[str, float]:
    """All that /metrics says of our own."""
    text = httpx.get(f"{service.url}/metrics", headers={"authorization": f"Bearer {KEY}"}, timeout=60).text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("reciprocam_")]
    return {series: float(value) for series, _, value in lines}


def test_the_log_names_the_workers(two: Service) -> None:
    (serving,) = two.log("serving")
    ready = {line["worker"]: line["pid"] for line in two.log("worker ready")}
    assert sorted(ready) == [1, 2]
    assert [ready[1], ready[2]] == serving["workers"]
    assert serving["pid"] == two.process.pid
    assert serving["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)
    assert sorted(serving["models"]) == ["asked", "first"]


def test_rest_reaches_every_worker(two: Service, sessions: dict[str, ExplainedSession]) -> None:
    want = sessions["first"].explain_image(picture())
    for _ in range(MANY):
        answer = post(two, picture()).json()
        np.testing.assert_allclose(answer["explanations"][0]["maps"][0]["saliency"], want.saliency[0, 0], atol=1e-6)
        if askers(two, "rest") == {1, 2}:
            return
    raise AssertionError(askers(two, "rest"))


def test_grpc_reaches_every_worker(two: Service, sessions: dict[str, ExplainedSession]) -> None:
    want = sessions["first"](images(1)).saliency
    for _ in range(MANY):
        np.testing.assert_allclose(infer(two).as_numpy("saliency"), want, atol=1e-6)
        if askers(two, "grpc") == {1, 2}:
            return
    raise AssertionError(askers(two, "grpc"))


def test_every_worker_has_the_limits(two: Service) -> None:
    before = len(two.log("request"))
    for _ in range(MANY):
        assert post(two, picture(), key="another-that-does-not").status_code == 401
        assert post(two, bytes(1_000_001)).status_code == 413
        seen = [(line["worker"], line["status"]) for line in two.log("request")[before:]]
        if len(set(seen)) == 4:
            return
    raise AssertionError(seen)


def test_metrics_add_up(two: Service) -> None:
    """Whichever worker is asked, it tells of all."""
    for _ in range(10):
        assert post(two, picture()).status_code == 200
        infer(two)
    logged = [line for line in two.log("request") if line.get("model") == "first"]
    answered = [line for line in logged if line["status"] in {200, "OK"}]
    for _ in range(20):
        found = numbers(two)
        requests = sum(value for series, value in found.items() if series.startswith("reciprocam_requests_total"))
        assert requests == len(logged)
        calls = sum(line["protocol"] == "grpc" for line in logged)
        assert found['reciprocam_request_seconds_count{model="first",verb="infer"}'] == calls
        assert found['reciprocam_batch_size_sum{model="first"}'] == len(answered)
        assert found["reciprocam_busy_requests"] == 0
        assert found['reciprocam_waiting_images{model="first"}'] == 0
    assert len({line["worker"] for line in two.log("request") if line.get("path") == "/metrics"}) == 2


def test_readiness_and_the_document(two: Service) -> None:
    assert two.lives()
    document = httpx.get(f"{two.url}/openapi.json", headers={"authorization": f"Bearer {KEY}"}, timeout=60).json()
    assert "text/plain" in document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
