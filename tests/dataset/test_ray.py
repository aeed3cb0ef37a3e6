"""A real cluster on this machine: several Ray nodes, each a process group of its own, one of them killed at work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from bucket import BUCKET, serving
from photo_sets import contents, photos, rows_of

from onnx_reciprocam.dataset import Finished, batch, read_finished
from onnx_reciprocam.errors import ClusterError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray leaves sockets and files to the garbage collector
]

PICTURES = 400


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that lists and two nodes that explain."""
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    yield found
    found.shutdown()


def add(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=100 << 20)


def test_a_node_is_killed_and_the_rows_are_the_same(cluster: Any, model: Path, tmp_path: Path) -> None:
    nodes = [add(cluster), add(cluster)]
    cluster.wait_for_nodes()
    source = photos(tmp_path / "photos", PICTURES)
    batch(model, source, tmp_path / "threads", batch_size=4, rows_per_part=8)
    killed: list[int] = []
    told: list[int] = []

    def kill(tally: Any) -> None:
        told.append(tally.done)
        if tally.done >= PICTURES // 4 and not killed:
            killed.append(tally.done)
            cluster.remove_node(nodes.pop(), allow_graceful=False)

    tally = batch(
        model,
        source,
        tmp_path / "out",
        batch_size=4,
        rows_per_part=8,
        engine="ray",
        address=cluster.address,
        progress=kill,
    )
    assert killed
    assert killed[0] < PICTURES
    assert tally.done == PICTURES
    assert len(set(told)) > PICTURES // 8 - 4  # part by part, and not all at the end
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "threads")
    assert len(list((tmp_path / "out" / "rows").iterdir())) == PICTURES // 8
    assert read_finished(tmp_path / "out") == Finished(rows=PICTURES, parts=PICTURES // 8)


def test_what_one_engine_began_the_other_ends(
    cluster: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    batch(model, "photos", tmp_path / "out", batch_size=4, rows_per_part=4, overlays=True)
    rows = rows_of(tmp_path / "out")
    assert len(rows) == len(contents())
    for part in sorted((tmp_path / "out" / "rows").iterdir())[::2]:
        part.unlink()
    tally = batch(model, "photos", "out", engine="ray", address=cluster.address, overlays=True)
    assert tally.done < len(rows)
    assert rows_of(tmp_path / "out") == rows
    assert source.exists()


def test_a_workers_own_error_comes_through(cluster: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file\na.jpg\n")
    from onnx_reciprocam.errors import SourceError

    with pytest.raises(SourceError, match="names no column 'path'"):
        batch(model, tmp_path / "list.csv", tmp_path / "out", engine="ray", address=cluster.address)


def test_pictures_in_a_bucket(model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster that is begun for it: whoever lists and whoever explains find the keys in their environment."""
    import s3fs

    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    batch(model, pictures, tmp_path / "local", batch_size=4)
    with serving(tmp_path) as store:
        store.put({f"photos/{name}": data for name, data in contents().items()})
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        batch(model, f"s3://{BUCKET}/photos", tmp_path / "out", batch_size=4, rows_per_part=8, engine="ray")
    s3fs.S3FileSystem.clear_instance_cache()
    rows, local = (
        [(row["sha256"], row["map"], row["error"]) for row in rows_of(tmp_path / name)] for name in ("out", "local")
    )
    assert rows == local


WANTED = ("CUDAExecutionProvider", "CPUExecutionProvider")
LACKING = "has no CUDAExecutionProvider; CPUExecutionProvider takes its place"


def test_gpus_have_an_actor_each_and_other_nodes_none(cluster: Any, model: Path, tmp_path: Path) -> None:
    """The nodes claim their GPUs, and onnxruntime has none: it goes on with the CPU, and says so."""
    import ray
    from ray._private import state

    with_gpu = {cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=100 << 20).node_id for _ in range(2)}
    add(cluster)
    cluster.wait_for_nodes()
    source = photos(tmp_path / "photos", 2 * PICTURES)
    batch(model, source, tmp_path / "threads", batch_size=4, rows_per_part=8, providers=WANTED, tell=lambda _: None)
    held: list[tuple[int, frozenset[str]]] = []
    told: list[str] = []

    def look(_tally: Any) -> None:
        if not ray.is_initialized():  # the last time
            return
        actors = [each for each in state.actors().values() if each["State"] == "ALIVE"]
        places = frozenset(each["Address"]["NodeID"] for each in actors if "MapWorker" in each["ActorClassName"])
        held.append((2 - int(ray.available_resources().get("GPU", 0)), places))

    batch(
        model,
        source,
        tmp_path / "out",
        batch_size=4,
        rows_per_part=8,
        engine="ray",
        address=cluster.address,
        providers=WANTED,
        progress=look,
        tell=told.append,
    )
    assert max(count for count, _ in held) == 2
    assert frozenset().union(*(places for _, places in held)) == with_gpu
    assert [LACKING in each for each in told] == [True, True]  # of the driver, and of the actors on its machine
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "threads")


def test_a_cluster_without_a_gpu_explains_with_its_cores_and_says_so(
    cluster: Any, model: Path, pictures: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    how: dict[str, Any] = {"engine": "ray", "address": cluster.address, "providers": WANTED, "tell": told.append}
    tally = batch(model, pictures, tmp_path / "out", **how)
    assert tally.done == len(contents())
    assert "no machine of the Ray cluster has a GPU; its cores explain" in told


def test_no_cluster_at_the_address(model: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"none at '127\.0\.0\.1:1'"):
        batch(model, pictures, tmp_path / "out", engine="ray", address="127.0.0.1:1")


def test_an_address_without_ray(model: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing without --engine ray"):
        batch(model, pictures, tmp_path / "out", address="127.0.0.1:1")
    with pytest.raises(OptionError, match="it takes threads, ray"):
        batch(model, pictures, tmp_path / "out", engine="spark")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no folder is made
