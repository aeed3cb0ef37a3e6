"""Runs an OpenVINO file, plain or explained, in 32-bit floats. Needs the environment ``openvino_xai``."""

# mypy: disable-error-code="import-not-found"
# what it imports is installed in the peer's environment, where no type checker runs

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import openvino as ov
from turns import noise, serve

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare(task: dict[str, Any]) -> Callable[[], object]:
    """Load the file."""
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise bfloat16 where the processor has it
        "INFERENCE_NUM_THREADS": task["threads"],
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = ov.Core().compile_model(task["model"], "CPU", settings).create_infer_request()
    return partial(request.infer, {0: noise(1)})


if __name__ == "__main__":
    serve(prepare)
