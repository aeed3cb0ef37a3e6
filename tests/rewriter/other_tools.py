"""What other tools make of a file before or after it is explained."""

from __future__ import annotations

import logging
import platform
import tempfile
import warnings
from pathlib import Path

import onnx
import onnxruntime as ort

LEVELS = {
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
"""How far onnxruntime optimises offline."""


def optimised(model: onnx.ModelProto, tool: str) -> onnx.ModelProto:
    """``model`` after ``onnxslim``, onnxruntime's ``transformers`` optimiser, or a level of its offline optimisation."""
    if tool == "onnxslim":
        return _slim(model)
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        onnx.save(model, before)
        if tool == "transformers":
            _fuse_transformers(before, after)
        else:
            options = ort.SessionOptions()
            options.graph_optimization_level = LEVELS[tool]
            options.optimized_model_filepath = str(after)
            options.log_severity_level = 3
            ort.InferenceSession(str(before), options, providers=["CPUExecutionProvider"])
        return onnx.load(after)


def _slim(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxslim

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return onnxslim.slim(copy)


def _fuse_transformers(before: Path, after: Path) -> None:
    from onnxruntime.transformers import optimizer

    logging.getLogger("onnxruntime.transformers").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fused = optimizer.optimize_model(str(before), model_type="vit", opt_level=0)
        fused.save_model_to_file(str(after))


def in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """With float16 in place of float32, but for inputs and outputs."""
    from onnxconverter_common import float16

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float16.convert_float_to_float16(copy, keep_io_types=True)


def on_x86() -> bool:
    """Whether this processor is one that onnxruntime has layouts of its own for."""
    return platform.machine().lower() in {"x86_64", "amd64"}


def domains(model: onnx.ModelProto) -> set[str]:
    """Where its operators come from."""
    return {node.domain for node in model.graph.node}
