"""Every runtime by name and what is expected of each file in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import runtimes
from limits import limit_of
from node_runtimes import NodeRuntime
from outcomes import judge

if TYPE_CHECKING:
    from explained_files import ExplainedFile
    from outcomes import Runtime

NODE = {name: NodeRuntime(name) for name in ("onnxruntime-node", "onnxruntime-web")}
PYTHON: dict[str, Runtime] = {
    "ReferenceEvaluator": runtimes.reference_evaluator,
    "OpenVINO": runtimes.openvino,
    "cv2.dnn": runtimes.opencv,
}
RUNTIMES: dict[str, Runtime] = PYTHON | NODE


def check(name: str, file: ExplainedFile) -> None:
    """The file runs and its maps are right, or fails as ``limits.py`` says."""
    outcome, limit = judge(RUNTIMES[name], file), limit_of(name, file)
    if limit is None or (limit.sometimes and outcome.fine):
        assert outcome.fine, f"{name}: {file}: {outcome.reason}"
    else:
        assert not outcome.fine, f"{name} runs {file} now: take {limit} out and write docs/runtimes.md anew"
        assert limit.explains(outcome), f"{name}: {file}: {outcome.reason}, and not as {limit} says"
