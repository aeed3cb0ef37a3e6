"""The container and the KServe manifest of docs/deploy, read by parsers: neither Docker nor Kubernetes is needed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from onnx_reciprocam.cli import app

FOLDER = Path(__file__).parents[2] / "docs" / "deploy"
OF_KSERVE = {"minReplicas", "maxReplicas"}
"""What a predictor has beyond a pod's own fields, of those used here."""


@pytest.fixture(scope="module")
def service() -> Any:
    return yaml.safe_load((FOLDER / "inferenceservice.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with lines that go on joined."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_the_predictor_is_a_valid_pod(service: Any) -> None:
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    spec = {key: value for key, value in service["spec"]["predictor"].items() if key not in OF_KSERVE}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_probes_limits_and_rights(service: Any, instructions: list[tuple[str, str]]) -> None:
    (container,) = service["spec"]["predictor"]["containers"]
    port = _options(instructions)["--port"]
    assert {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {
        int(port)
    }
    assert container["ports"][0]["containerPort"] == int(port)
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    user = next(value for word, value in instructions if word == "USER")
    assert service["spec"]["predictor"]["securityContext"]["runAsUser"] == int(user) != 0
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {_options(instructions)["--api-key-file"], str(Path(container["args"][0]).parent)} <= mounted
    volumes = {volume["name"] for volume in service["spec"]["predictor"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def _options(instructions: list[tuple[str, str]]) -> dict[str, str]:
    words = json.loads(next(value for word, value in instructions if word == "ENTRYPOINT"))
    assert words[:2] == ["onnx-reciprocam", "serve"]
    return dict(zip(words[2::2], words[3::2], strict=True))


def test_the_entry_point_takes_these_options(instructions: list[tuple[str, str]]) -> None:
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {name for parameter in serve.params for name in parameter.opts}
    assert set(_options(instructions)) <= known


def test_the_image_is_pinned_and_runs_as_nobody(instructions: list[tuple[str, str]]) -> None:
    bases = [value for word, value in instructions if word == "FROM"]
    assert all(re.match(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    words = [word for word, _ in instructions]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert {"HEALTHCHECK", "STOPSIGNAL"} <= set(words)
    command = next(value for word, value in instructions if word == "HEALTHCHECK").split("CMD ")[1]
    compile(json.loads(command)[2], "HEALTHCHECK", "exec")
