"""Runtimes that take an ``.onnx`` file: each loads it and answers its outputs by name, or raises."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explained_files import Feeds
    from numpy.typing import NDArray

    Outputs = dict[str, NDArray[Any]]


def _session(model: bytes, level: ort.GraphOptimizationLevel) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime(model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs:
    """The CPU provider: what all others are compared with."""
    levels = ort.GraphOptimizationLevel
    session = _session(model, levels.ORT_DISABLE_ALL if written else levels.ORT_ENABLE_ALL)
    return dict(zip(outputs, session.run(list(outputs), feeds), strict=True))


def reference_evaluator(model: bytes, feeds: Feeds, outputs: Sequence[str], **_: bool) -> Outputs:
    """onnx's own, in numpy; it changes no node."""
    from onnx.reference import ReferenceEvaluator

    results = ReferenceEvaluator(model).run(list(outputs), feeds)
    return dict(zip(outputs, map(np.asarray, results), strict=True))


def openvino(model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs:
    """The CPU plug-in in single precision, which is not its default on processors with bfloat16."""
    import openvino as ov

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    if written:
        settings["LP_TRANSFORMS_MODE"] = False
    core = ov.Core()
    results = core.compile_model(core.read_model(model), "CPU", settings)(feeds)
    return {name: results[name].copy() for name in outputs}


def opencv(model: bytes, feeds: Feeds, outputs: Sequence[str], **_: bool) -> Outputs:
    """``cv2.dnn``, which keeps Q-DQ pairs as they are; in a process of its own, for some models end it."""
    try:
        return _opencv_process().submit(opencv_here, model, feeds, outputs).result()
    except BrokenProcessPool:
        end_opencv()
        raise RuntimeError("ends the process") from None


def end_opencv() -> None:
    """End the process that ran it; another starts with the next run."""
    if _opencv_process.cache_info().currsize:
        _opencv_process().shutdown()
        _opencv_process.cache_clear()


def opencv_here(model: bytes, feeds: Feeds, outputs: Sequence[str]) -> Outputs:
    """The same in this process."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    for name, value in feeds.items():
        net.setInput(value, name)
    results = dict(zip(outputs, net.forward(list(outputs)), strict=True))
    if missing := [name for name, value in results.items() if value is None]:
        raise RuntimeError(f"no value for {', '.join(missing)}")
    return results


@cache
def _opencv_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
