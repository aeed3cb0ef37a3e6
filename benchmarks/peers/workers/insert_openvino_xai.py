"""Explains an .onnx file with OpenVINO-XAI, and tells what came of it. Needs the environment ``openvino_xai``."""

# mypy: disable-error-code="import-not-found"
# what it imports is installed in the peer's environment, where no type checker runs

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino_xai import insert_xai
from openvino_xai.common.parameters import Method, Task
from openvino_xai.common.utils import SALIENCY_MAP_OUTPUT_NAME
from openvino_xai.inserter.model_parser import IRParserCls, ModelType
from turns import answer_once, noise, reason

BATCH = 2


def work(task: dict[str, Any]) -> dict[str, Any]:
    """Write ``plain.xml`` and ``explained.xml`` with 32-bit weights, ``predictions.npy``, and ``maps.npy``, not scaled.

    Args:
        task: ``model``, ``dynamic`` (the same network with a batch of any size) and ``folder``, paths.

    Returns:
        ``failed``, empty if all went well; then also ``target``, the masked tensor, and ``batch``, what becomes of two
        images at once.
    """
    core, folder = ov.Core(), Path(task["folder"])
    try:
        plain = core.read_model(task["model"])
        target = IRParserCls.get_target_node(plain, ModelType.CNN)
        _save(plain, folder / "plain.xml")
        _save(_explained(core, task["model"]), folder / "explained.xml")
        answers = _run(core, _explained(core, task["model"], embed_scaling=False), 1)
        np.save(folder / "predictions.npy", answers[0])
        np.save(folder / "maps.npy", answers[SALIENCY_MAP_OUTPUT_NAME])
    except Exception as error:  # noqa: BLE001 - that it fails, and why, is a result
        return {"failed": reason(error)}
    name = next(iter(target.output(0).get_names()))
    return {"failed": "", "target": name, "batch": _batch(core, task["dynamic"])}


def _explained(core: Any, path: str, *, embed_scaling: bool = True) -> Any:
    return insert_xai(core.read_model(path), Task.CLASSIFICATION, Method.RECIPROCAM, embed_scaling=embed_scaling)


def _save(model: Any, path: Path) -> None:
    ov.save_model(model, path, compress_to_fp16=False)


def _run(core: Any, model: Any, images: int) -> Any:
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(noise(images))


def _batch(core: Any, path: str) -> str:
    try:
        maps = _run(core, _explained(core, path), BATCH)[SALIENCY_MAP_OUTPUT_NAME]
    except Exception as error:  # noqa: BLE001 - that it fails, and why, is a result
        return f"fails: {reason(error)}"
    return f"maps {list(maps.shape)} for {BATCH} images"


if __name__ == "__main__":
    answer_once(work)
