"""Rewriting a network with a method, running it, and what is asked of its maps."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from slow_maps import Slow, SlowMaps
from tiny_tails import CASES, STATIC, TRANSFORMERS, Case

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERY = {**CASES, **STATIC, **TRANSFORMERS}
IMAGES = 3


@cache
def network(name: str) -> Slow:
    """The plain file of a case, and its oracle."""
    return EVERY[name].slow()


@cache
def oracle(name: str) -> SlowMaps:
    """What its maps should be, for as many images as the file takes, at most three."""
    case = EVERY[name]
    return SlowMaps(network(name), case.images(case.batch if isinstance(case.batch, int) else IMAGES))


def rewritten(name: str, method: str, classes: str = "all") -> onnx.ModelProto:
    """The explained file of a case; raw maps."""
    case: Case = EVERY[name]
    return rc.rewrite(
        network(name).model, method=method, target=case.target, score=case.score, classes=classes, normalize="none"
    )


def run(model: onnx.ModelProto, *feeds: NDArray[Any], optimised: bool = True) -> dict[str, NDArray[Any]]:
    """All outputs by name; inputs in the file's order."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, dict(zip(names, feeds, strict=True)))
    return dict(zip([entry.name for entry in session.get_outputs()], found, strict=True))


def noise(model: onnx.ModelProto) -> NDArray[np.float16]:
    """What the file adds to its images: the only numbers in half precision."""
    (found,) = (tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16)
    return numpy_helper.to_array(found)


def spread(maps: NDArray[Any]) -> float:
    """Of ``[B, K, ...]``: largest minus smallest value of a map, mean over all."""
    flat = maps.reshape(*maps.shape[:2], -1)
    return float(np.mean(flat.max(-1) - flat.min(-1)))


def assert_same(found: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Equal up to single precision, and worth being compared: neither flat nor next to nothing."""
    wanted = wanted.reshape(found.shape)
    size = float(np.abs(wanted).max())
    assert spread(wanted) > 1e-2 * size > 1e-8
    assert float(np.abs(found - wanted).max()) <= 1e-4 * spread(wanted) + 1e-5 * size
