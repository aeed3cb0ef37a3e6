"""One model file and what it is fed: run here, or in a process of its own that tells its peak memory.

Run as a module, this file is that process. It imports numpy and onnxruntime alone, so that hardly anything but the model
counts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnxruntime as ort

from onnx_reciprocam.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

Inputs: TypeAlias = "Mapping[str, tuple[str, Sequence[int]]]"
"""Type, as numpy names it, and shape by input name."""
RUNS_ALONE = 2
"""How often the process of its own runs the model: the second run shows what the first one left allocated."""
_REASON = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (.*)")


@dataclass(frozen=True)
class ModelRun:
    """A model, ready to run.

    Args:
        path: The file.
        inputs: What it is fed.
        threads: Within an operator.
        providers: onnxruntime's execution providers.
    """

    path: str
    inputs: Inputs
    threads: int
    providers: Sequence[str]

    def start(self) -> Callable[[], list[Any]]:
        """Load the model; what comes back runs it once, each time on the same noise, and answers its outputs."""
        session = ort.InferenceSession(self.path, self.options(), providers=list(self.providers))
        feeds = self.feeds()
        return partial(session.run, None, feeds)

    def options(self) -> ort.SessionOptions:
        """How sessions are run: quietly, with so many threads."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        # otherwise the threads spin on after a run, and take the cores from whoever runs next
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Standard normal noise from a fixed seed; zeros where the input takes no fractions."""
        rng = np.random.default_rng(0)
        kinds = {name: (np.dtype(kind), shape) for name, (kind, shape) in self.inputs.items()}
        return {
            name: rng.standard_normal(shape).astype(kind) if kind.kind == "f" else np.zeros(shape, kind)
            for name, (kind, shape) in kinds.items()
        }

    def peak_alone(self, name: str) -> float | None:
        """Most memory that a fresh process held that loads and runs the model, in MB; None if the system does not tell.

        Args:
            name: What an error calls the model.

        Raises:
            ModelFileError: It does not run.
        """
        command = [sys.executable, "-m", "onnx_reciprocam.model_run", json.dumps(asdict(self))]
        child = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very file
        if child.returncode < 0:
            reason = f"the system killed it (signal {-child.returncode}), as it does where memory runs out."
            raise ModelFileError(name, reason)
        if child.returncode:
            raise ModelFileError(name, f"onnxruntime does not run it: {_reason(child.stderr)}")
        peak = json.loads(child.stdout.splitlines()[-1])
        return None if peak is None else float(peak)


def own_peak() -> float | None:
    """Most memory that this process has held so far, in MB (10^6 bytes); None on Windows."""
    if sys.platform == "linux":
        # not ru_maxrss, which on Linux starts with the size of the process that started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None


def _reason(stderr: str) -> str:
    """What onnxruntime said, or the last ones there are."""
    if match := _REASON.search(stderr):
        return match[1]
    return (stderr.strip().splitlines() or ["it ended without a word"])[-1]


def _main() -> None:
    run = ModelRun(**json.loads(sys.argv[1])).start()
    for _ in range(RUNS_ALONE):
        run()
    print(json.dumps(own_peak()))  # noqa: T201 - this is how the process answers


if __name__ == "__main__":
    _main()
