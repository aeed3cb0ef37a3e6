"""Workers that cannot start, or cannot start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import below, wait_until_gone
from services import MAIN

if TYPE_CHECKING:
    from conftest import Begin
    from services import Service

pytestmark = pytest.mark.slow

KILLED_AT_START = """
import os, signal
if __name__ == "__mp_main__":
    os.kill(os.getpid(), signal.SIGKILL)
"""
SLOW_START = """
import time
if __name__ == "__mp_main__":
    time.sleep(600)
"""


def test_a_worker_that_dies_at_every_start_ends_the_service(files: dict[str, Path], begin: Begin) -> None:
    running = begin(files["first"], before=KILLED_AT_START)
    assert running.process.wait(120) == 1
    (line,) = running.errors.read_text().splitlines()
    assert line.endswith(
        "ended 5 times in a row before it served; the last time: SIGKILL; the log of the service says more."
    )
    assert len(running.log("worker ended")) >= 5
    assert not running.log("serving")


def test_a_worker_that_cannot_be_replaced_ends_the_service(
    files: dict[str, Path], begin: Begin, tmp_path: Path
) -> None:
    """Its file is gone; the other worker finishes what it has."""
    path = Path(shutil.copy(files["first"], tmp_path / "gone.onnx"))
    running = begin(path).__enter__()
    everybody = below(running.process.pid)
    path.unlink()
    os.kill(running.log("serving")[0]["workers"][0], signal.SIGKILL)
    assert running.process.wait(120) == 1
    (line,) = running.errors.read_text().splitlines()
    assert line.startswith("error: worker 1 ended 5 times in a row before it served; the last time: ")
    assert f"{path}: no such file" in line
    assert [line["worker"] for line in running.log("stopped") if "worker" in line] == [2]
    wait_until_gone(everybody)


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_nobody_else_gets_the_ports(files: dict[str, Path], begin: Begin, option: str) -> None:
    """Not even while the workers are loading and nothing listens yet."""
    port, other = free_port(), {"--port": "--grpc-port", "--grpc-port": "--port"}[option]
    given = (option, str(port), other, "0")
    running = begin(files["first"], *given, before=SLOW_START)
    everybody = wait_until_loading(running)
    command = [sys.executable, "-c", MAIN.format(before=""), "serve", str(files["first"]), "--workers", "2", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert not running.log("serving")
    assert running.stop() == 0
    wait_until_gone(everybody)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {option} does not take '{port}'; it takes one that is free")


def test_ctrl_c_while_the_workers_are_loading(files: dict[str, Path], begin: Begin) -> None:
    """It reaches all processes of the terminal; none of them says a word about it."""
    running = begin(files["first"], before=SLOW_START)
    everybody = wait_until_loading(running)
    time.sleep(1)  # their interpreters begin, which hear of it as of an exception
    for pid in (*everybody, running.process.pid):
        os.kill(pid, signal.SIGINT)
    assert running.process.wait(60) == 0
    wait_until_gone(everybody)
    assert running.errors.read_text() == ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_until_loading(service: Service) -> set[int]:
    """Its processes: two workers, and what Python tracks resources with."""
    give_up = time.monotonic() + 60
    while len(found := below(service.process.pid)) < 3:
        assert service.process.poll() is None, service.errors.read_text()
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return found


def test_a_file_that_cannot_be_served_is_said_once(files: dict[str, Path], begin: Begin) -> None:
    plain = files["first"].with_name("plain.onnx")
    running = begin(plain)
    everybody = wait_until_loading(running)
    assert running.process.wait(120) == 2
    (line,) = running.errors.read_text().splitlines()
    assert line.startswith(f"error: {plain} is a plain model, without saliency.")
    wait_until_gone(everybody)
