"""Files to serve, and pictures to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc
from onnx_reciprocam.visualise import encode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CHANNELS, CLASSES, SIDE = 4, 5, 16

OPTIONS: dict[str, dict[str, Any]] = {
    "first": {},
    "second": {"labels": tuple(f"kind {i}" for i in range(CLASSES))},
    "asked": {"classes": "input"},
    "switch": {"toggle": True},
    "best": {"classes": "top:3"},
}
"""How each file is rewritten, by its name; ``static`` has a static batch and ``coupled`` a range for the whole batch."""


def write_models(folder: Path) -> dict[str, Path]:
    """All of them, and ``plain``, which is not rewritten."""
    onnx.save(classifier(), folder / "plain.onnx")
    made = {}
    for name, options in OPTIONS.items():
        made[name] = rewritten(classifier(), folder / f"{name}.onnx", **options)
    made["static"] = rewritten(classifier(batch=1), folder / "static.onnx")
    made["coupled"] = rewritten(classifier(coupled=True), folder / "coupled.onnx")
    return made


def rewritten(model: onnx.ModelProto, path: Path, **options: Any) -> Path:
    rc.rewrite(model, path, **options)
    return path


def classifier(batch: int | str = "batch", *, coupled: bool = False) -> onnx.ModelProto:
    """``(quantise >) stem > relu > pool > fc``; ``coupled`` quantises images with one range for all of a batch."""
    make = helper.make_node
    nodes = []
    if coupled:
        nodes += [
            make("DynamicQuantizeLinear", ["image"], ["levels", "step", "zero"]),
            make("DequantizeLinear", ["levels", "step", "zero"], ["rounded"]),
        ]
    nodes += [
        make("Conv", ["rounded" if coupled else "image", "w.stem"], ["stem.out"], "stem", strides=[2, 2], pads=[1] * 4),
        make("Relu", ["stem.out"], ["features"], "last"),
        make("GlobalAveragePool", ["features"], ["pool.out"], "pool"),
        make("Flatten", ["pool.out"], ["flat.out"], "flat"),
        make("Gemm", ["flat.out", "w.fc"], ["logits"], "fc", transB=1),
    ]
    rng = np.random.default_rng(0)
    shapes = {"w.stem": (CHANNELS, 3, 3, 3), "w.fc": (CLASSES, CHANNELS)}
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [tensor("image", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [tensor("logits", TensorProto.FLOAT, [batch, CLASSES])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pixels(seed: int = 0, height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def picture(seed: int = 0, ending: str = ".png") -> bytes:
    return encode(pixels(seed), ending)


def images(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)
