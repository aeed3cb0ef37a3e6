"""The services that are compared, each in a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

HERE = Path(__file__).parent
_SERVE = "import sys; from onnx_reciprocam.cli import main; main(sys.argv[1:])"


class Server:
    """A process that listens, until the end of ``with``.

    Attributes:
        urls: Where to POST a picture, by what is asked there.
    """

    def __init__(self, command: list[str], log: Path, port: int, paths: dict[str, str]) -> None:
        self._log = log.open("wb")
        self.process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)  # noqa: S603 - our own
        self._port = port
        self.urls = {what: f"http://127.0.0.1:{port}{path}" for what, path in paths.items()}

    def __enter__(self) -> Self:
        give_up = time.monotonic() + 120
        while not self._listens():
            if time.monotonic() > give_up or self.process.poll() is not None:
                sys.exit(f"the server did not start: {Path(self._log.name).read_text()}")
            time.sleep(0.2)
        return self

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._log.close()

    def resident_mb(self) -> float:
        """Memory that the process holds now, in 10^6 bytes; Linux."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024 / 1e6
        raise OSError("the process is gone")

    def answer(self, what: str, body: bytes) -> dict[str, object]:
        """One answer, to see that it is one."""
        request = urllib.request.Request(self.urls[what], body, {"Content-Type": "image/jpeg"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=60) as found:  # noqa: S310
            return dict(json.load(found))


def bare(model: Path, folder: Path, threads: int) -> Server:
    """FastAPI and a session, nothing else."""
    port = free_port()
    command = [sys.executable, str(HERE / "bare.py"), str(model), str(port), str(threads)]
    return Server(command, folder / f"bare-{model.stem}.log", port, {"look": "/"})


def served(model: Path, folder: Path, threads: int, *options: str) -> Server:
    """``onnx-reciprocam serve``."""
    port = free_port()
    command = [sys.executable, "-c", _SERVE, "serve", str(model), "--port", str(port), "--no-grpc"]
    paths = {verb: f"/v1/models/{model.stem}:{verb}" for verb in ("predict", "explain")}
    command += ["--threads", str(threads), *options]
    return Server(command, folder / f"served-{model.stem}.log", port, paths)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
