"""Which tensor is explained: the user's, or the last one that carries everything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from tiny_networks import CLASSES, Tiny, assemble, residual

import onnx_reciprocam as rc
from onnx_reciprocam.errors import (
    BypassedTargetError,
    NoCellsError,
    NodeNotFoundError,
    NoTargetError,
    OptionError,
    OutputError,
)


def target_of(model: onnx.ModelProto) -> str:
    return rc.Contract.from_metadata({entry.key: entry.value for entry in model.metadata_props}).target


def test_the_last_map_that_carries_everything_is_automatic() -> None:
    assert target_of(rc.rewrite(residual())) == "relu.out"


def test_a_node_is_named_as_well_as_its_tensor() -> None:
    by_node, by_tensor = (rc.rewrite(residual(), target=name) for name in ("stem", "stem.out"))
    assert by_node == by_tensor
    assert target_of(by_node) == "stem.out"


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(NodeNotFoundError, match=r"no node or tensor named 'brnch0'.*did you mean 'branch0'"):
        rc.rewrite(residual(), target="brnch0")


@pytest.mark.parametrize("target", ["branch0", "branch.relu.out", "branch1"])
def test_what_lies_on_a_branch_is_bypassed(target: str) -> None:
    with pytest.raises(BypassedTargetError) as caught:
        rc.rewrite(residual(), target=target)
    error = caught.value
    assert error.path == ["stem.out", "add.out"]
    assert error.nearest == ["stem", "add"]
    assert str(error) == (
        f"{target!r} is bypassed: the score also depends on the image through stem.out > add.out. "
        "Nearest targets: 'stem', 'add'. [RC121]"
    )


@pytest.mark.parametrize(
    ("target", "shape"), [("pool", r"\?x4x1x1"), ("flat.out", r"\?x4"), ("scores", r"\?x5"), ("image", r"\?x3x6x8")]
)
def test_what_has_no_cells_is_refused(target: str, shape: str) -> None:
    with pytest.raises(NoCellsError, match=rf"'{target}' \({shape}\) .*Nearest targets: '"):
        rc.rewrite(residual(), target=target)


@pytest.mark.parametrize("ending", ["", "Softmax"])
@pytest.mark.parametrize("target", ["fc.weight", "other", "scores"])
def test_what_is_not_on_the_way_to_the_score_is_refused(target: str, ending: str) -> None:
    """Weights, another head, and what comes behind the logits."""
    with pytest.raises((BypassedTargetError, NoCellsError), match=f"'{target}'.*Nearest targets: '"):
        rc.rewrite(Tiny(aux=True, ending=ending).build(), target=target)


def test_one_of_two_pictures_does_not_carry_the_other() -> None:
    sides: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["left", "w"], ["left.map"], "left.conv", **sides),
        helper.make_node("Conv", ["right", "w"], ["right.map"], "right.conv", **sides),
        helper.make_node("Add", ["left.map", "right.map"], ["map"], "join"),
        helper.make_node("GlobalAveragePool", ["map"], ["pool.out"], "pool"),
        helper.make_node("Flatten", ["pool.out"], ["scores"], "flatten"),
    ]
    weights = {"w": np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)}
    shape: list[int | str] = ["b", 3, 6, 8]
    model = assemble(nodes, weights, {"left": shape, "right": shape}, {"scores": ["b", 4]})
    assert [candidate.node for candidate in rc.inspect(model).candidates] == ["join"]
    found = rc.verify(rc.rewrite(model), model, batches=(2,))
    assert found.passed, str(found)
    with pytest.raises(BypassedTargetError, match=r"'left\.conv' is bypassed: .* right > right\.map > map"):
        rc.rewrite(model, target="left.conv")


def test_a_second_way_from_the_image_to_the_score_leaves_no_target() -> None:
    """The image's mean colour joins the score."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["map"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["map"], ["pool.out"], "pool"),
        helper.make_node("GlobalAveragePool", ["image"], ["colour"], "colour"),
        helper.make_node("Concat", ["pool.out", "colour"], ["both"], "join", axis=1),
        helper.make_node("Flatten", ["both"], ["scores"], "flatten"),
    ]
    weights = {"w": np.ones((4, 3, 3, 3), np.float32)}
    model = assemble(nodes, weights, {"image": ["b", 3, 6, 8]}, {"scores": ["b", 7]})
    with pytest.raises(NoTargetError, match="no target for output 'scores': no feature map of more than one cell"):
        rc.rewrite(model)
    with pytest.raises((NoTargetError, BypassedTargetError), match="scores"):
        rc.rewrite(model, target="conv")


@pytest.mark.parametrize("rank", [1, 3])
def test_sound_and_video_have_no_target(rank: int) -> None:
    nodes = [
        helper.make_node("Conv", ["signal", "w"], ["map"], "conv"),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["scores"], "flatten"),
    ]
    weights = {"w": np.ones((4, 2, *[3] * rank), np.float32)}
    model = assemble(nodes, weights, {"signal": ["b", 2, *[6] * rank]}, {"scores": ["b", 4]})
    with pytest.raises(NoTargetError, match=f"its feature maps are {rank}-D; only 2-D ones, over height and width"):
        rc.rewrite(model)


def test_a_score_without_an_image_has_no_target() -> None:
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["numbers"], to=1),
        helper.make_node("Slice", ["shape", "zero", "one"], ["batch"]),
        helper.make_node("Concat", ["batch", "one"], ["sizes"], axis=0),
        helper.make_node("Expand", ["numbers", "sizes4"], ["scores"]),
    ]
    weights = {"zero": np.array([0]), "one": np.array([1]), "sizes4": np.array([2, 4])}
    model = assemble(nodes, weights, {"image": [2, 3, 6, 8]}, {"scores": [2, 4]})
    with pytest.raises(NoTargetError, match="no target for output 'scores': it does not depend on the image"):
        rc.rewrite(model)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("map", r"output 'map': its shape is \?x4x3x4; class scores \[B, classes\] are needed"),
        ("socres", r"output 'socres': there is none; the outputs are 'scores'"),
        ("nothing like it", "the outputs are 'map', 'scores', 'other'"),
    ],
)
def test_an_output_that_scores_no_classes(output: str, problem: str) -> None:
    with pytest.raises(OutputError, match=problem):
        rc.rewrite(Tiny(aux=True).build(), output=output)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("mask", "blur", r"--mask does not take 'blur'; it takes pixel, gaussian, replicated\."),
        ("score", "loss", "--score does not take 'loss'; it takes logit, probability"),
        ("classes", "top:0", "--classes does not take 'top:0'; it takes predicted, all, top:K"),
        ("normalize", "max", "--normalize does not take 'max'"),
        ("upsample", "2", "--upsample does not take '2'"),
        ("method", "grad-cam", "--method does not take 'grad-cam'; it takes reciprocam, ablationcam, .*, gradcam,"),
    ],
)
def test_an_option_that_does_not_exist(option: str, value: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        rc.rewrite(Tiny().build(), **{option: value})  # type: ignore[arg-type] # one option of several types


def test_candidates_run_from_the_image_to_the_score() -> None:
    found = rc.inspect(residual())
    rows = [(c.node, c.tensor, c.layout, c.shape, c.cells, c.automatic) for c in found.candidates]
    assert rows == [
        ("stem", "stem.out", "b c h w", (None, 4, 3, 4), 12, False),
        ("add", "add.out", "b c h w", (None, 4, 3, 4), 12, False),
        ("relu", "relu.out", "b c h w", (None, 4, 3, 4), 12, True),
    ]
    assert (found.output, found.logits, found.classes) == ("scores", "scores", CLASSES)
    assert found.why == "the last feature map that all paths from the image to the score go through"


def test_a_pooled_tail_is_cheap_and_a_longer_one_dearer() -> None:
    """Behind the last map one small matrix product for one class; before the convolutions all cells around each of 12."""
    stem, add, relu = (candidate.extra_cost for candidate in rc.inspect(residual()).candidates)
    assert 0 < relu <= add < stem
    assert relu < 0.05
    assert stem > 1


def test_channels_last_candidates_say_so() -> None:
    found = rc.inspect(Tiny(channels_last=True, batch=2).build()).candidates
    assert {candidate.tensor: candidate.layout for candidate in found} == {
        "conv0.out": "b c h w",
        "relu0.out": "b c h w",
        "conv1.out": "b c h w",
        "map": "b c h w",
        "map.nhwc": "b h w c",
    }
    assert found[-1].automatic
    assert found[-1].shape == (2, 3, 4, 4)


def test_without_names_candidates_go_by_their_tensors() -> None:
    found = rc.inspect(Tiny(named=False).build()).candidates
    assert [candidate.node for candidate in found] == [candidate.tensor for candidate in found]
    assert target_of(rc.rewrite(Tiny(named=False).build(), target=found[0].node)) == found[0].tensor


def test_logits_are_found_behind_a_softmax() -> None:
    assert rc.inspect(Tiny(ending="Softmax").build()).logits == "linear"


def test_every_candidate_can_be_rewritten() -> None:
    for candidate in rc.inspect(residual()).candidates:
        assert target_of(rc.rewrite(residual(), target=candidate.node)) == candidate.tensor


def test_an_inspection_is_json() -> None:
    found = rc.inspect(Tiny(size=("h", "w")).build(), size=(6, 8))
    read = json.loads(json.dumps(found.to_dict()))
    assert read["candidates"][0]["shape"] == [None, 4, None, None]
    assert read["candidates"][-1]["automatic"] is True
    assert [row["cells"] for row in read["candidates"]] == [12] * 4
