"""The manifest of docs/scale.md, read by parsers: Kubernetes' own schema, Ray's autoscaler and this command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from onnx_reciprocam.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
JOB = {"entrypoint", "shutdownAfterJobFinishes", "backoffLimit", "rayClusterSpec"}
CLUSTER = {"headGroupSpec", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
WORKERS = HEAD | {"groupName", "replicas", "minReplicas", "maxReplicas"}
"""KubeRay's names (ray.io/v1), of those used here."""


@pytest.fixture(scope="module")
def job() -> Any:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return yaml.safe_load(text)


def groups(job: Any) -> list[Any]:
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_names_and_types(job: Any) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert set(spec) == JOB
    assert set(cluster) == CLUSTER
    assert set(cluster["headGroupSpec"]) == HEAD
    for group in cluster["workerGroupSpecs"]:
        assert set(group) == WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups(job):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_every_pod_is_valid(job: Any) -> None:
    for group in groups(job):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        (container,) = group["template"]["spec"]["containers"]
        volumes = {volume["name"] for volume in group["template"]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_rays_autoscaler_reads_it(job: Any) -> None:
    from ray.autoscaler._private.kuberay import autoscaling_config

    metadata = {"name": "explain", "namespace": "default"}
    cluster = {"metadata": metadata, "spec": job["spec"]["rayClusterSpec"]}
    types = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]  # noqa: SLF001
    resources = {name: kind["resources"] for name, kind in types.items()}
    assert resources["headgroup"]["CPU"] == 0
    assert resources["explainers"]["CPU"] == 16


def test_the_command_line_takes_the_entrypoint(job: Any) -> None:
    program, name, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, name) == ("onnx-reciprocam", "batch")
    command = get_command(app).commands["batch"]  # type: ignore[attr-defined]
    given = command.make_context("batch", words).params
    assert (given["engine"], given["address"]) == ("ray", "auto")
    mounted = [
        mount["mountPath"]
        for group in groups(job)
        for mount in group["template"]["spec"]["containers"][0]["volumeMounts"]
    ]
    assert all(str(given["folder"]).startswith(path) for path in mounted)
