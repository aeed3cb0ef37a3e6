"""Every dialect and every option: the maps equal the naive explanation, the file is valid, ``strip`` undoes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from opsets import newest_runnable
from tiny_networks import CLASSES, GRID, Tiny, residual

import onnx_reciprocam as rc
from onnx_reciprocam.errors import OptionError, UnsupportedModelError

NEWEST_OPSET = newest_runnable(26)
"""The newest that onnxruntime supports officially."""

NETWORKS: dict[str, Tiny] = {
    **{f"opset {opset}": Tiny(opset=opset) for opset in range(9, NEWEST_OPSET + 1)},
    **{f"opset {opset}, channels last": Tiny(opset=opset, channels_last=True) for opset in (9, 13, 18)},
    "ir 3, weights are inputs": Tiny(opset=9, ir_version=3),
    "softmax": Tiny(ending="Softmax"),
    "softmax of opset 11": Tiny(opset=11, ending="Softmax"),
    "log-softmax": Tiny(ending="LogSoftmax"),
    "sigmoid": Tiny(ending="Sigmoid"),
    "one logit": Tiny(classes=1),
    "one probability": Tiny(classes=1, ending="Sigmoid"),
    "half precision": Tiny(half=True),
    "half precision softmax": Tiny(half=True, ending="Softmax"),
    "weights are Constant nodes": Tiny(constants=True),
    "channels last": Tiny(channels_last=True),
    "image and vector": Tiny(vector=True),
    "three outputs": Tiny(aux=True),
    "no node names": Tiny(named=False),
    "batch of 1": Tiny(batch=1),
    "batch of 3": Tiny(batch=3),
}

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "gaussian": {"mask": "gaussian"},
    "replicated": {"mask": "replicated"},
    "probability": {"score": "probability"},
    "all": {"classes": "all"},
    "top 3": {"classes": "top:3"},
    "top of all": {"classes": f"top:{CLASSES}"},
    "input": {"classes": "input"},
    "raw": {"normalize": "none"},
    "enlarged": {"upsample": "input"},
    "toggle": {"toggle": True},
    "toggle, all, enlarged": {"toggle": True, "classes": "all", "upsample": "input"},
    "toggle, input": {"toggle": True, "classes": "input"},
    "gaussian probability, top 2, raw, enlarged": {
        "mask": "gaussian",
        "score": "probability",
        "classes": "top:2",
        "normalize": "none",
        "upsample": "input",
    },
    "earlier target": {"target": "relu0.out"},
    "earlier target, replicated": {"target": "conv1.out", "mask": "replicated", "classes": "top:2"},
}

DIALECTS: dict[str, Tiny] = {
    "opset 11": Tiny(opset=11),
    "half": Tiny(half=True, ending="Softmax"),
    "channels last": Tiny(channels_last=True, batch=2),
    "several": Tiny(vector=True, aux=True, constants=True, named=False),
}


def check(plain: onnx.ModelProto, *, batches: tuple[int, ...] = (2,), **options: Any) -> onnx.ModelProto:
    """Rewrite, check with onnx, with the naive explanation, and with ``strip``."""
    before = plain.SerializeToString(deterministic=True)
    explained = rc.rewrite(plain, **options)
    assert plain.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(explained, full_check=True)
    found = rc.verify(explained, plain, batches=batches)
    assert found.passed, str(found)
    assert found.maps > 0
    assert found.flat == 0
    assert rc.strip(explained) == plain
    return explained


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(name: str) -> None:
    explained = check(NETWORKS[name].build(), batches=(1, 3), normalize="none")
    assert rc.Contract.from_metadata({entry.key: entry.value for entry in explained.metadata_props}).grid == GRID


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_option(dialect: str, options: str) -> None:
    check(DIALECTS[dialect].build(), **OPTIONS[options])


@pytest.mark.parametrize(
    ("ending", "classes"),
    [*((ending, CLASSES) for ending in ("", "Softmax", "LogSoftmax", "Sigmoid")), ("", 1), ("Sigmoid", 1)],
)
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_every_ending(ending: str, classes: int, score: str) -> None:
    check(Tiny(ending=ending, classes=classes).build(), score=score, classes="all", normalize="none")


@pytest.mark.parametrize("target", ["stem", "stem.out", "add", "relu.out"])
@pytest.mark.parametrize("mask", ["pixel", "gaussian", "replicated"])
def test_every_target_of_a_residual_network(target: str, mask: str) -> None:
    explained = check(residual(), target=target, mask=mask, classes="top:2")
    metadata = {entry.key: entry.value for entry in explained.metadata_props}
    assert rc.Contract.from_metadata(metadata).target == target.removesuffix(".out") + ".out"


@pytest.mark.parametrize("output", ["scores", "other"])
def test_the_named_output_is_explained(output: str) -> None:
    explained = check(Tiny(aux=True).build(), output=output)
    names = [entry.name for entry in explained.graph.output]
    assert names == ["map", "scores", "other", "saliency", "saliency_classes"]
    metadata = {entry.key: entry.value for entry in explained.metadata_props}
    assert rc.Contract.from_metadata(metadata).outputs["score"] == output


@pytest.mark.parametrize("options", [{}, {"mask": "gaussian"}, {"upsample": "input"}, {"toggle": True}], ids=str)
@pytest.mark.parametrize("batch", ["batch", 2])
def test_height_and_width_are_open(options: dict[str, Any], batch: int | str) -> None:
    """Probed at one size, run at two others."""
    plain = Tiny(size=("height", "width"), batch=batch).build()
    preprocessing = rc.Preprocessing(size=(16, 12))
    explained = rc.rewrite(plain, preprocessing=preprocessing, **options)
    onnx.checker.check_model(explained, full_check=True)
    for seed, size in enumerate([(6, 8), (9, 5)]):
        images = np.random.default_rng(seed).standard_normal((2, 3, *size)).astype(np.float32)
        found = rc.verify(explained, plain, images)
        assert found.passed, str(found)
    assert rc.strip(explained) == plain


def test_more_maps_than_classes_are_refused() -> None:
    with pytest.raises(OptionError, match=r"top:6.*at most top:5, the number of classes"):
        rc.rewrite(Tiny().build(), classes="top:6")


@pytest.mark.parametrize("opset", [9, 10])
@pytest.mark.parametrize("options", [{}, {"toggle": True, "classes": "all"}], ids=str)
def test_maps_are_enlarged_before_there_was_a_resize_for_it(opset: int, options: dict[str, Any]) -> None:
    check(Tiny(opset=opset).build(), upsample="input", **options)


def test_enlarged_maps_of_an_open_size_need_a_resize_with_half_pixel_centres() -> None:
    with pytest.raises(OptionError, match=r"--upsample does not take 'input'.*opset 10 where the image's size is open"):
        rc.rewrite(Tiny(opset=10, size=("h", "w")).build(), upsample="input")


@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
def test_weights_that_are_inputs_stay_inputs(mask: str) -> None:
    plain = Tiny(opset=9, ir_version=3).build()
    explained = check(plain, mask=mask, classes="input")
    assert [entry.name for entry in explained.graph.input] == [
        *(entry.name for entry in plain.graph.input),
        "saliency_class_ids",
    ]


def test_a_file_whose_defaults_cannot_be_overridden_has_no_toggle() -> None:
    with pytest.raises(UnsupportedModelError, match="--toggle has no effect in a file of IR version 3"):
        rc.rewrite(Tiny(opset=9, ir_version=3).build(), toggle=True)


@pytest.mark.parametrize("upsample", ["none", "input"])
@pytest.mark.parametrize("value", [0.1, -1e4])
def test_a_constant_map_is_all_zeros(upsample: str, value: float) -> None:
    plain = Tiny().build()
    weights = {tensor.name: tensor for tensor in plain.graph.initializer}
    for name, fill in (("fc.weight", 0.0), ("fc.bias", value)):
        array = np.full_like(numpy_helper.to_array(weights[name]), fill)
        weights[name].CopyFrom(numpy_helper.from_array(array, name))
    explained = rc.rewrite(plain, upsample=upsample, classes="all").SerializeToString()
    images = np.random.default_rng(0).standard_normal((2, 3, 6, 8)).astype(np.float32)
    maps = ort.InferenceSession(explained).run(["saliency"], {"image": images})[0]
    assert maps.shape[:2] == (2, CLASSES)
    assert not maps.any()
