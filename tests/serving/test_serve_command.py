"""The command itself: what it refuses before it listens, and how."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from services import MAIN, Service

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-c", MAIN.format(before=""), "serve"]


def refused(*arguments: object) -> str:
    """The one line on stderr."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_plain_model_is_sent_to_rewrite(files: dict[str, Path]) -> None:
    plain = files["first"].with_name("plain.onnx")
    line = refused(files["first"], plain, "--port", 0, "--grpc-port", 0)
    assert line.startswith(f"error: {plain} is a plain model, without saliency. First: onnx-reciprocam rewrite")


def test_two_files_of_one_name(files: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "first.onnx"
    other.write_bytes(files["second"].read_bytes())
    line = refused(files["first"], other)
    assert f"serve does not take '{other}'" in line
    assert "is called 'first' as well" in line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert (
        refused(tmp_path / "none.onnx", "--port", 0, "--grpc-port", 0)
        == f"error: {tmp_path}/none.onnx: no such file [RC101]"
    )


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_a_port_that_is_taken(files: dict[str, Path], option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"--port": "--grpc-port", "--grpc-port": "--port"}[option]
        line = refused(files["first"], option, port, other, 0)
    assert line.startswith(f"error: {option} does not take '{port}'; it takes ")
    assert "free" in line


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--max-batch", "0"], "--max-batch does not take '0'; it takes 1 or more."),
        (["--workers", "0"], "--workers does not take '0'; it takes 1 or more."),
        (["--timeout", "0"], "--timeout does not take '0.0'"),
        (["--max-body", "much"], "--max-body does not take 'much'; it takes a size such as 512MB"),
        (["--port", "70000"], "--port does not take '70000'; it takes at most 65535."),
        (["--port", "8123", "--grpc-port", "8123"], "a port other than --port 8123"),
        (["--host", "no.such.host.invalid"], "--host does not take 'no.such.host.invalid'"),
        (["--max-delay-ms", "nan"], "--max-delay-ms does not take 'nan'"),
    ],
)
def test_options_out_of_range(files: dict[str, Path], options: list[str], says: str) -> None:
    assert says in refused(files["first"], *options)


def test_workers_elsewhere_than_on_linux(files: dict[str, Path]) -> None:
    """Other systems let processes share a port as well, and give all connections to one of them."""
    elsewhere = MAIN.format(before="import onnx_reciprocam.serving\nsys.platform = 'darwin'")
    command = [sys.executable, "-c", elsewhere, "serve", str(files["first"]), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: --workers does not take '2'; it takes 1 where the system is not Linux.\n"


@pytest.mark.parametrize("content", ["", "short\n", "a key of several words\n", "schlüssel-mit-umlaut\n"])
def test_a_key_file_without_a_usable_key(files: dict[str, Path], tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    line = refused(files["first"], "--api-key-file", path)
    assert f"--api-key-file does not take '{path}'; it takes a file with one key per line" in line
    assert "--api-key-file does not take" in refused(files["first"], "--api-key-file", tmp_path)


def test_an_open_door_is_said_so(files: dict[str, Path], tmp_path: Path) -> None:
    options = ("--host", "0.0.0.0", "--no-grpc")  # noqa: S104 - the point
    running = Service(tmp_path, [files["first"]], *options, "--port", "0")
    with running:
        assert httpx.get(f"{running.url}/v2/health/live").json() == {"live": True}
        assert running.errors.read_text() == (
            "warning: whoever reaches 0.0.0.0 may use this service; --api-key-file asks for a key.\n"
        )
        running.errors.write_text("")


def test_it_listens_to_this_machine_alone(service: Service) -> None:
    (line,) = service.log("serving")
    assert line["host"] == "127.0.0.1"
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        for port in (line["port"], line["grpc_port"]):
            if not address.startswith("127."):
                with pytest.raises(ConnectionRefusedError, match="refused"):
                    socket.create_connection((address, port), timeout=5)


def test_help_teaches() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=60, check=True)
    for word in ("curl --data-binary", ":explain -o why.png", "--max-queue", "SIGTERM"):
        assert word in done.stdout
