"""Runs an .onnx file, plain or explained, as onnx_reciprocam's own benchmark does. Needs the project's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from turns import IMAGE, serve

from onnx_reciprocam.model_run import ModelRun

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare(task: dict[str, Any]) -> Callable[[], object]:
    """Load the file."""
    inputs = {"input": ("float32", (1, *IMAGE))}
    return ModelRun(task["model"], inputs, task["threads"], ("CPUExecutionProvider",)).start()


if __name__ == "__main__":
    serve(prepare)
