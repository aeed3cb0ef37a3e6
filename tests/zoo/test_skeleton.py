from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import EVERY_WAY
from numpy.typing import NDArray
from onnx import helper
from skeleton import FOLDER, image_size, load, names, read

Float32 = NDArray[np.float32]

ALL = [pytest.param(*entry, id=".".join(entry)) for entry in names()]
CONVOLUTIONAL = [
    pytest.param(*entry, id=".".join(entry)) for entry in names() if entry[0] in EVERY_WAY and entry[1] == "dynamon"
]
"""One graph of each; what the other exporters' say is measured for the table, where a flat map would show."""
QUICK = [
    pytest.param(name, exporter, id=f"{name}.{exporter}")
    for name, exporter in names()
    if name in {"mobilenet_v3_small", "resnet18", "shufflenet_v2_x1_0"} and exporter in {"ts1", "dynamon"}
]
LARGEST_FILE = 300_000
SOURCE_PATH = re.compile(rb"\.py\b|-packages|/(home|opt|tmp|usr|var)/")


@pytest.mark.parametrize(("name", "exporter"), ALL)
def test_file_is_small_and_tells_nothing_of_the_machine_it_was_made_on(name: str, exporter: str) -> None:
    assert (FOLDER / f"{name}.{exporter}.onnx.gz").stat().st_size < LARGEST_FILE
    found = SOURCE_PATH.search(read(name, exporter).SerializeToString())
    assert found is None, found


def test_same_seed_same_weights_and_another_seed_others() -> None:
    once, again, other = (load("mobilenet_v3_small", "ts1", seed).SerializeToString() for seed in (0, 0, 1))
    assert once == again
    assert once != other


def test_image_size_is_the_networks_own() -> None:
    assert image_size("resnet18") == 224
    assert image_size("inception_v3") == 299


def test_missing_skeleton_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match=r"lenet\.ts1"):
        load("lenet", "ts1")
    with pytest.raises(FileNotFoundError, match="lenet"):
        image_size("lenet")


@pytest.mark.parametrize(("name", "exporter"), QUICK)
def test_is_healthy(name: str, exporter: str) -> None:
    _check_health(name, exporter)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), CONVOLUTIONAL)
def test_every_one_is_healthy(name: str, exporter: str) -> None:
    _check_health(name, exporter)


def _check_health(name: str, exporter: str) -> None:
    """Signals of order one all the way, images that differ, and a map with something to see."""
    model = load(name, exporter)
    onnx.checker.check_model(model)
    shape = (1, 3, image_size(name), image_size(name))
    images = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in range(3)]
    signals = _signals(model, images[0])
    sizes = {tensor: float(np.sqrt(np.mean(value**2))) for tensor, value in signals.items()}
    assert not {tensor: size for tensor, size in sizes.items() if not 0.02 < size < 50}  # NaN is not either

    session = _session(model)
    logits = np.concatenate([session.run(None, {"input": image})[0] for image in images])
    assert np.std(logits - logits.mean(axis=0)) > 0.03 * np.std(logits)

    features = [tensor for tensor, value in signals.items() if value.ndim == 4 and min(value.shape[1:]) > 1][-1]
    saliency = _naive_map(model, features, signals[features], images[0], int(logits[0].argmax()))
    assert np.ptp(saliency) > 0.05 * np.abs(saliency).max()


def _signals(model: onnx.ModelProto, image: Float32) -> dict[str, Float32]:
    """Every float tensor that a node writes, by name, in the order of the nodes."""
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    written = [tensor for node in model.graph.node for tensor in node.output]
    del open_model.graph.output[:]
    open_model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in written)
    values = dict(zip(written, _session(open_model).run(None, {"input": image}), strict=True))
    return {tensor: value for tensor, value in values.items() if value.dtype == np.float32 and value.ndim > 1}


def _naive_map(model: onnx.ModelProto, target: str, features: Float32, image: Float32, chosen: int) -> Float32:
    """The score of one class as each cell alone is kept, ``[H * W]``."""
    for node in model.graph.node:  # nobody reads the real features any more, so the runtime drops what makes them
        node.output[:] = [f"{tensor}.real" if tensor == target else tensor for tensor in node.output]
    model.graph.input.append(helper.make_tensor_value_info(target, onnx.TensorProto.FLOAT, features.shape))
    session = _session(model)
    masks = np.eye(features.shape[2] * features.shape[3], dtype=np.float32).reshape(-1, 1, 1, *features.shape[2:])
    scores = [session.run(None, {"input": image, target: mask * features})[0] for mask in masks]
    return np.concatenate(scores)[:, chosen]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # idle threads spin, and tests run side by side
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
