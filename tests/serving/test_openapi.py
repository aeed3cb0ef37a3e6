"""Schemathesis reads the service's own OpenAPI document and sends what it allows, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

if TYPE_CHECKING:
    from services import Service

load_all_checks()

NOT_OURS = {
    "positive_data_acceptance": "a text of base64 that is no picture is in the schema, and is refused",
}

OPERATIONS = (
    "POST /v1/models/{model_name}:predict",
    "POST /v1/models/{model_name}:explain",
    "POST /v2/models/{model_name}/infer",
    "GET /",
    "GET /metrics",
    "GET /v1/models",
    "GET /v1/models/{model_name}",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /v2/models",
    "GET /v2/models/{model_name}",
    "GET /v2/models/{model_name}/ready",
)


@pytest.fixture(scope="module")
def schema(service: Service) -> Any:
    return schemathesis.openapi.from_url(f"{service.url}/openapi.json")


def test_every_operation_is_tried(schema: Any) -> None:
    assert {each.ok().label for each in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, GenerationMode.POSITIVE) for name in OPERATIONS),
        *((name, GenerationMode.NEGATIVE) for name in OPERATIONS if name.startswith("POST")),
    ],
)
def test_every_answer_is_as_written(schema: Any, name: str, mode: GenerationMode) -> None:
    method, _, path = name.partition(" ")
    operation = schema[path][method]
    checks = [check for check in CHECKS.get_all() if check.__name__ not in NOT_OURS]
    known = {"path_parameters": {"model_name": "first"}} if method == "POST" else {}

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode, **known))
    def send(case: Any) -> None:
        case.call_and_validate(checks=checks, timeout=60)

    send()


def test_the_document_is_of_what_is_served(service: Service) -> None:
    written = httpx.get(f"{service.url}/openapi.json").json()
    explain = written["paths"]["/v1/models/{model_name}:explain"]["post"]
    assert "image/png" in explain["responses"]["200"]["content"]
    assert "image/jpeg" in explain["requestBody"]["content"]
    assert written["info"]["title"] == "onnx-reciprocam serve"
