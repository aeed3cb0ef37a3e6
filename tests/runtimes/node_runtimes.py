"""onnxruntime-node and onnxruntime-web, each in one Node.js process that answers run after run."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explained_files import Feeds
    from numpy.typing import NDArray
    from runtimes import Outputs

FOLDER = Path(__file__).parent
TYPES = {"float32": np.float32, "int64": np.int64, "bool": np.bool_}


class NodeMissingError(RuntimeError):
    """Node.js or its packages are not there."""

    def __str__(self) -> str:
        return f"tests of other runtimes need Node.js 20 or later and `npm ci --ignore-scripts` in {FOLDER}"


class NodeRunError(RuntimeError):
    """What the runtime says of a file that it does not run."""


class NodeRuntime:
    """One of the two packages; a process starts with the first run, and again after one that crashed it.

    Args:
        package: ``onnxruntime-node`` or ``onnxruntime-web``.
    """

    def __init__(self, package: str) -> None:
        self.package = package
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs:
        """Load, run, answer the outputs by name."""
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(model)
            file.flush()
            sent = {name: _sent(value) for name, value in feeds.items()}
            question = {"model": file.name, "feeds": sent, "outputs": list(outputs), "written": written}
            answer = self._asked(question)
        if "error" in answer:
            raise NodeRunError(answer["error"])
        return {name: _received(value) for name, value in answer["outputs"].items()}

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self.close()
            return {"error": f"{self.package} ended the process"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            if shutil.which("node") is None or not (FOLDER / "node_modules" / self.package).is_dir():
                raise NodeMissingError
            self._process = subprocess.Popen(
                ["node", FOLDER / "answer_runs.mjs", self.package],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait(timeout=30)
            self._process = None


def version(package: str) -> str:
    """As it is installed.

    Raises:
        NodeMissingError: It is not.
    """
    try:
        found: str = json.loads((FOLDER / "node_modules" / package / "package.json").read_text())["version"]
    except FileNotFoundError:
        raise NodeMissingError from None
    return found


def _sent(value: NDArray[Any]) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"type": value.dtype.name, "dims": value.shape, "data": data}


def _received(value: dict[str, Any]) -> NDArray[Any]:
    data = base64.b64decode(value["data"])
    return np.frombuffer(data, TYPES[value["type"]]).reshape(value["dims"])
