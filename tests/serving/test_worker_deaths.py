"""Workers that are killed, that are told to end, and that lose their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
from processes import below, wait_until_gone
from served_models import images, picture
from services import Service, model_address
from tritonclient.utils import InferenceServerException

if TYPE_CHECKING:
    from conftest import Begin
    from typing_extensions import Self

    from onnx_reciprocam import ExplainedSession

pytestmark = pytest.mark.slow

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
CONNECTION_BROKE = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class Crowd:
    """Clients that ask again as soon as they have an answer, over both protocols.

    Attributes:
        maps: All answers over REST.
        tensors: All answers over gRPC.
        broken: Connections that broke.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.maps: list[np.ndarray] = []
        self.tensors: list[np.ndarray] = []
        self.broken = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._rest()) for _ in range(12)]
        self._tasks += [asyncio.create_task(self._grpc()) for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for found in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(found, asyncio.CancelledError), f"a client ended: {found!r}"

    async def more(self, count: int) -> None:
        """Until so many more answers are there."""
        wanted = len(self.maps) + count, len(self.tensors) + count
        give_up = time.monotonic() + 120
        while len(self.maps) < wanted[0] or len(self.tensors) < wanted[1]:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.02)

    async def _rest(self) -> None:
        address = model_address(self._service, "first", "explain")
        while True:
            async with httpx.AsyncClient(timeout=60) as client:
                try:
                    while True:
                        answer = await client.post(address, content=picture())
                        assert answer.status_code == 200, answer.text
                        self.maps.append(np.array(answer.json()["explanations"][0]["maps"][0]["saliency"]))
                except CONNECTION_BROKE:
                    self.broken += 1
            await asyncio.sleep(0.01)

    async def _grpc(self) -> None:
        tensor = tritonclient.grpc.InferInput("image", (1, 3, 16, 16), "FP32")
        tensor.set_data_from_numpy(images(1))
        channel = tritonclient.grpc.aio.InferenceServerClient(self._service.grpc, channel_args=OWN_CONNECTION)
        async with channel as client:
            while True:
                try:
                    while True:
                        answer = await client.infer("first", [tensor])
                        self.tensors.append(answer.as_numpy("saliency"))
                except InferenceServerException as error:
                    if error.status() != "StatusCode.UNAVAILABLE":
                        raise
                    self.broken += 1
                await asyncio.sleep(0.01)


def asked(service: Service) -> list[dict[str, Any]]:
    return [line for line in service.log("request") if line.get("model") == "first"]


def wait_until_busy(service: Service, count: int) -> None:
    """So many requests have arrived, answered or not."""
    give_up = time.monotonic() + 60
    while service.metric("reciprocam_busy_requests") + len(asked(service)) < count:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def wait_until_idle(service: Service) -> None:
    """By the metrics, to which what the dead had in hand does not count."""
    give_up = time.monotonic() + 60
    while service.metric("reciprocam_busy_requests") or service.metric("reciprocam_waiting_images", model="first"):
        assert time.monotonic() < give_up
        time.sleep(0.02)


async def kill_under_load(service: Service, crowd: Crowd, times: int) -> None:
    """SIGKILL, now to one worker, now to the other, each time until all is well again."""
    for number in range(times):
        await crowd.more(30)
        worker = 1 + number % 2
        pid = [line["pid"] for line in service.log("worker ready") if line["worker"] == worker][-1]
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(service.wait_for, "worker ready", 3 + number)
        assert await asyncio.to_thread(service.lives)
    await crowd.more(30)


def test_a_worker_is_killed_under_load(
    files: dict[str, Path], sessions: dict[str, ExplainedSession], tmp_path: Path
) -> None:
    """Whoever is answered is answered rightly, the others learn that the connection broke; metrics never fall."""

    async def load(service: Service) -> Crowd:
        async with Crowd(service) as crowd:
            await kill_under_load(service, crowd, 3)
        return crowd

    with Service(tmp_path, [files["first"]], "--workers", "2", seconds=0.02) as running:
        crowd = asyncio.run(load(running))
        ended = running.log("worker ended")
        assert [(line["worker"], line["signal"], line["level"]) for line in ended] == [
            (number, "SIGKILL", "warning") for number in (1, 2, 1)
        ]
        counted = running.metric("reciprocam_batch_size_sum", model="first")
        assert counted >= len(crowd.maps) + len(crowd.tensors)
        wait_until_idle(running)
        everybody = below(running.process.pid)
    wait_until_gone(everybody)
    want = sessions["first"].explain_image(picture()).saliency[0, 0], sessions["first"](images(1)).saliency
    for found, wanted in ((crowd.maps, want[0]), (crowd.tensors, want[1])):
        np.testing.assert_allclose(np.stack(found), np.broadcast_to(wanted, (len(found), *wanted.shape)), atol=1e-6)
    assert crowd.broken  # or nothing was in flight, and the test has shown nothing


def test_all_workers_are_killed_at_once(files: dict[str, Path], tmp_path: Path) -> None:
    with Service(tmp_path, [files["first"]], "--workers", "2") as running:
        for pid in running.log("serving")[0]["workers"]:
            os.kill(pid, signal.SIGKILL)
        running.wait_for("worker ready", 4)
        assert running.lives()
        assert running.process.poll() is None


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
def test_the_end_comes_after_the_last_answer_of_all_workers(files: dict[str, Path], tmp_path: Path, how: str) -> None:
    """Requests of half a second each are under way in both; Ctrl-C at a terminal reaches the workers themselves as well."""

    async def end(service: Service) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            address = model_address(service, "first", "predict")
            calls = [asyncio.create_task(client.post(address, content=picture())) for _ in range(12)]
            await asyncio.to_thread(wait_until_busy, service, 12)
            for pid in (service.process.pid, *(below(service.process.pid) if how == "SIGINT" else ())):
                os.kill(pid, getattr(signal, how))
            return await asyncio.gather(*calls)

    limits = ("--workers", "2", "--max-batch", "1")
    with Service(tmp_path, [files["first"]], *limits, seconds=0.5) as running:
        everybody = below(running.process.pid)
        answers = asyncio.run(end(running))
        assert running.process.wait(60) == 0
        assert {line["worker"] for line in asked(running)} == {1, 2}
    assert [answer.status_code for answer in answers] == [200] * 12
    assert "worker" not in running.log("stopped")[-1]
    assert len(running.log("stopped")) == 3
    wait_until_gone(everybody)


def test_workers_whose_parent_is_killed_finish_and_end(files: dict[str, Path], begin: Begin) -> None:
    async def orphan(service: Service) -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as client:
            call = asyncio.create_task(client.post(model_address(service, "first", "predict"), content=picture()))
            await asyncio.to_thread(wait_until_busy, service, 1)
            service.process.kill()
            return await call

    running = begin(files["first"], seconds=1.0).__enter__()
    everybody = below(running.process.pid)
    metrics = metrics_folder(running.log("serving")[0]["workers"][0])
    assert metrics.is_dir()
    assert asyncio.run(orphan(running)).status_code == 200
    assert running.process.wait(60) == -signal.SIGKILL
    wait_until_gone(everybody)
    assert running.errors.read_text() == ""
    assert not metrics.exists()


def test_a_worker_that_does_not_end_is_cut_off(files: dict[str, Path], begin: Begin) -> None:
    running = begin(files["first"], "--grace", "1").__enter__()
    everybody = below(running.process.pid)
    stopped = running.log("serving")[0]["workers"][1]
    os.kill(stopped, signal.SIGSTOP)
    assert running.stop() == 1
    (line,) = running.errors.read_text().splitlines()
    assert line == "error: worker 2 did not finish what it had taken on; the log of the service says more."
    (ended,) = running.log("worker ended")
    assert (ended["worker"], ended["pid"], ended["signal"], ended["level"]) == (2, stopped, "SIGKILL", "error")
    wait_until_gone(everybody)


def metrics_folder(pid: int) -> Path:
    """Of a worker."""
    variables = dict(each.split("=", 1) for each in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in each)
    return Path(variables["PROMETHEUS_MULTIPROC_DIR"])
