"""A service in a process of its own, as ``onnx-reciprocam serve`` starts it, on ports that are free."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

MAIN = """import sys
from onnx_reciprocam.cli import main
{before}
if __name__ == "__main__":
    main(sys.argv[1:])
"""
"""What is ``before`` happens in workers as well, which read it again."""

SLEEPY = """
import time
from onnx_reciprocam.runtime.model_session import ModelSession
run = ModelSession.run
ModelSession.run = lambda self, *given: (time.sleep({seconds}), run(self, *given))[1]
"""
"""A model that takes its time, whatever the machine."""

LIBJPEG = (
    "Corrupt JPEG data",
    "Premature end of JPEG",
    "Invalid JPEG file",
    "Unsupported marker",
    "Warning: unknown JFIF",
)
"""How the decoder begins what it says on stderr of a picture that it decodes all the same."""

_PATIENCE = 120.0


class Service:
    """``with Service(folder, paths, *options) as service:`` runs it; leaving stops it, and nothing may have gone wrong.

    Attributes:
        url, grpc: Where it listens.
        tolerated: Beginning of errors in the log that the test provokes.
    """

    tolerated = "nothing"

    def __init__(self, folder: Path, paths: list[Path], *options: str, seconds: float = 0, before: str = "") -> None:
        self._log = folder / "stdout"
        self.errors = folder / "stderr"
        program = folder / "program.py"
        program.write_text(MAIN.format(before=before + (SLEEPY.format(seconds=seconds) if seconds else "")))
        ports = [] if "--port" in options else ["--port", "0", "--grpc-port", "0"]
        command = [sys.executable, str(program), "serve", *map(str, paths), *ports, *options]
        with self._log.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.url = self.grpc = ""

    def __enter__(self) -> Self:
        try:
            announced = self.wait_for("serving")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.url = f"http://127.0.0.1:{announced['port']}"
        self.grpc = f"127.0.0.1:{announced['grpc_port']}"
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.returncode == 0, self.errors.read_text()
        said = [line for line in self.errors.read_text().splitlines() if not line.startswith(LIBJPEG)]
        assert not said, said
        faults = [
            line
            for line in self.log()
            if line["level"] in {"error", "critical"} and not line["event"].startswith(self.tolerated)
        ]
        assert not faults, faults

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE)

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """Every line is JSON; the last one may not be whole yet."""
        whole = self._log.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if event in {None, line["event"]}]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The line of the log, once it is there."""
        give_up = time.monotonic() + _PATIENCE
        while len(found := self.log(event)) < count:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.errors.read_text()}")
            if time.monotonic() > give_up:
                raise AssertionError(f"no {event!r} among {self.log()}")
            time.sleep(0.02)
        return found[count - 1]

    def lives(self) -> bool:
        """Whether it still answers, and answers right away."""
        return httpx.get(f"{self.url}/v2/health/ready", timeout=30).json() == {"ready": True}

    def metric(self, name: str, **labels: str) -> float:
        """A number of Prometheus's; 0 where there is none yet."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines():
            series, _, value = line.rpartition(" ")
            found, _, inside = series.partition("{")
            if found == name and wanted <= set(inside.rstrip("}").split(",")):
                return float(value)
        return 0.0


def model_address(service: Service, name: str, verb: str) -> str:
    """Of ``predict`` and ``explain`` in the first protocol, of ``infer`` in the second."""
    return f"{service.url}/v2/models/{name}/infer" if verb == "infer" else f"{service.url}/v1/models/{name}:{verb}"
