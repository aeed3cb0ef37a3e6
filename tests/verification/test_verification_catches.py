"""Wrong files fail, each in the check that is about its mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from handmade_explained import Explained, failures, metadata
from handmade_plain import CLASSES, Plain
from onnx import helper, numpy_helper

from onnx_reciprocam.verification import verify

make = helper.make_node
Edit = Callable[[onnx.ModelProto], Any]


def scaled(factor: float) -> dict[str, Any]:
    return {
        "spoil": (make("Mul", ["right", "factor"], ["spoiled"]),),
        "constants": {"factor": np.array(factor, np.float32)},
    }


def turned() -> dict[str, Any]:
    """The grid read column by column."""
    return {
        "spoil": (
            make("Transpose", ["right"], ["across"], perm=[0, 1, 3, 2]),
            make("Reshape", ["across", "grid"], ["spoiled"]),
        ),
        "constants": {"grid": np.array([0, 0, 3, 4])},
    }


def shifted() -> dict[str, Any]:
    """Every score one cell to the right, around the edge."""
    return {
        "spoil": (
            make("Split", ["right", "sides"], ["left", "edge"], axis=3),
            make("Concat", ["edge", "left"], ["spoiled"], axis=3),
        ),
        "constants": {"sides": np.array([3, 1])},
    }


def nudged(by: float) -> dict[str, Any]:
    """One cell is off by a little."""
    nudge = np.zeros((3, 4), np.float32)
    nudge[1, 2] = by
    return {"spoil": (make("Add", ["right", "nudge"], ["spoiled"]),), "constants": {"nudge": nudge}}


def not_a_number() -> dict[str, Any]:
    nudge = np.zeros((3, 4), np.float32)
    nudge[0, 0] = np.nan
    return {"spoil": (make("Add", ["right", "nan"], ["spoiled"]),), "constants": {"nan": nudge}}


def infinite() -> dict[str, Any]:
    nudge = np.zeros((3, 4), np.float32)
    nudge[0, 0] = np.inf
    return {"spoil": (make("Add", ["right", "inf"], ["spoiled"]),), "constants": {"inf": nudge}}


def cropped() -> dict[str, Any]:
    return {
        "spoil": (make("Slice", ["right", "from", "to", "axis"], ["spoiled"]),),
        "constants": {"from": np.array([0]), "to": np.array([2]), "axis": np.array([2])},
    }


@pytest.mark.parametrize(
    "wrong",
    [scaled(1.01), scaled(2), turned(), shifted(), nudged(1e-3), not_a_number(), infinite(), cropped()],
    ids=["1% larger", "twice", "grid transposed", "one cell off", "one cell wrong", "NaN", "infinite", "cropped"],
)
@pytest.mark.parametrize("layout", ["b c h w", "b h w c"])
def test_wrong_maps(wrong: dict[str, Any], layout: str) -> None:
    plain = Plain(layout=layout)
    assert failures(verify(Explained(plain, **wrong).build(), plain.build())) == {"maps"}


@pytest.mark.parametrize("wrong", [turned(), shifted(), nudged(1e-3), not_a_number()])
@pytest.mark.parametrize("upsample", ["none", "input"])
def test_wrong_normalised_maps(wrong: dict[str, Any], upsample: str) -> None:
    explained = Explained(normalize="minmax", upsample=upsample, **wrong)
    assert failures(verify(explained.build(), Plain().build())) == {"maps"}


@pytest.mark.parametrize(
    "said", [{"mask": "gaussian"}, {"mask": "replicated"}, {"score": "probability"}, {"normalize": "minmax"}], ids=str
)
def test_the_metadata_promises_another_map(said: dict[str, str]) -> None:
    assert failures(verify(Explained(entries=said).build(), Plain().build())) == {"maps"}


def test_normalised_before_enlarging() -> None:
    explained = Explained(normalize="minmax").build()
    resized = make("Resize", ["unit", "", "scales"], ["saliency"], mode="linear", name="rc/late")
    *others, last = [node for node in explained.graph.node if node.output[0] != "saliency_classes"]
    kept = [node for node in explained.graph.node if node.output[0] == "saliency_classes"]
    assert last.output[0] == "saliency"
    del explained.graph.node[:]
    explained.graph.node.extend([*others, resized, *kept])
    explained.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales"))
    for side, size in zip(explained.graph.output[1].type.tensor_type.shape.dim[2:], (12, 16), strict=True):
        side.dim_value = size
    helper.set_model_props(explained, {**metadata(explained), "reciprocam.upsample": "input"})
    assert failures(verify(explained, Plain().build())) == {"maps"}


def test_wrong_classes() -> None:
    found = verify(Explained(class_offset=1).build(), Plain().build())
    assert failures(found) == {"classes", "maps"}  # the maps are of other classes than they say


def test_the_right_classes_in_the_wrong_order() -> None:
    found = verify(Explained(classes="top:2", entries={"classes": "top:3"}).build(), Plain().build())
    assert failures(found) == {"classes"}


def test_asked_classes_must_come_back() -> None:
    found = verify(Explained(classes="input", class_offset=CLASSES - 1).build(), Plain().build())
    assert failures(found) == {"classes", "maps"}


def test_only_flat_maps_prove_nothing() -> None:
    found = verify(Explained(normalize="minmax").build(), Plain().build(), np.zeros((1, 3, 12, 16)))
    assert failures(found) == {"maps"}
    assert "nothing was compared" in str(found)
    assert found.flat == found.maps == 1
    assert np.isnan(found.worst)


def test_a_flat_map_must_still_be_a_map() -> None:
    images = np.stack([np.zeros((3, 12, 16)), np.random.default_rng(3).standard_normal((3, 12, 16))])
    assert verify(Explained(normalize="minmax").build(), Plain().build(), images).passed
    without_floor = Explained(normalize="minmax").build()
    for node in without_floor.graph.node:
        node.input[:] = ["span" if name == "divisor" else name for name in node.input]  # 0 / 0
    assert failures(verify(without_floor, Plain().build(), images)) == {"maps"}


def test_a_toggle_that_switches_nothing() -> None:
    explained = Explained(toggle=True).build()
    for node in explained.graph.node:
        if node.output[0] == "saliency":
            node.input[2] = "many"
    assert failures(verify(explained, Plain().build())) == {"toggle"}


def test_an_unannounced_toggle() -> None:
    explained = Explained(toggle=True, entries={"inputs": {"image": "image"}}).build()
    assert failures(verify(explained, Plain().build())) == {"inputs"}


@pytest.mark.parametrize(
    ("target", "reason"), [("feature", "did you mean 'features'"), ("scores", "does not depend on the target 'scores'")]
)
def test_a_wrong_target(target: str, reason: str) -> None:
    found = verify(Explained(entries={"target": target}).build(), Plain().build())
    assert "target" in failures(found)
    assert reason in str(found)


def test_a_file_that_runs_at_one_batch_size_only() -> None:
    explained = Explained(
        spoil=(make("Reshape", ["right", "one"], ["spoiled"]),), constants={"one": np.array([1, 1, 3, 4])}
    )
    found = verify(explained.build(), Plain().build())
    assert [check.name for check in found.failures] == ["runs, batch 2"]


def test_infinite_scores_equal_nothing() -> None:
    explained = Explained()
    found = verify(explained.build(), Plain().build(), np.full((1, 3, 12, 16), 3e38))
    assert "maps" in failures(found)


@pytest.mark.parametrize("plain", [Plain(), Plain(ending=("Sigmoid",))])
def test_another_activation_than_the_metadata_says(plain: Plain) -> None:
    explained = Explained(plain, entries={"activation": "softmax"})
    assert failures(verify(explained.build(), plain.build())) == {"activation"}
