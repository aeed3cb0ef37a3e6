"""What a rewrite says of a file that will surprise, and what of preprocessing that no run could use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from precisions import as_int8, network, static, weights_stored
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import InputError, OptionError
from onnx_reciprocam.models.digit_vit import DIGIT_VIT
from onnx_reciprocam.rewriter.quantised import SIGNED
from onnx_reciprocam.rewriter.rewrite import FLAT, rewrite_with

if TYPE_CHECKING:
    from pathlib import Path


def remarks(model: Any, **options: Any) -> list[str]:
    return list(rewrite_with(model, None, RewriteOptions.parse(**options)).remarks)


def test_a_named_target_costs_what_it_costs_unnamed() -> None:
    """Asking whether it reaches the score writes nothing into the file."""
    named, unnamed = (rewrite_with(network(), None, RewriteOptions.parse(target=t)) for t in (automatic_target(), None))
    assert named.model == unnamed.model
    assert named.notes == unnamed.notes
    assert [note.op for note in named.notes if note.term == "Stacked"] == []


def automatic_target() -> str:
    return next(candidate.node for candidate in rc.inspect(network()).candidates if candidate.automatic)


def test_targets_that_no_longer_reach_the_score_are_marked() -> None:
    found = rc.inspect(DIGIT_VIT).candidates
    chosen = next(i for i, candidate in enumerate(found) if candidate.automatic)
    assert [candidate.reaches for candidate in found] == [i <= chosen for i in range(len(found))]
    assert not found[-1].reaches
    for candidate in (found[chosen], found[-1]):
        for mask in ("pixel", "gaussian"):
            said = remarks(DIGIT_VIT, target=candidate.node, mask=mask)
            assert said == ([] if candidate.reaches else [FLAT.format(candidate.node)])
    assert remarks(DIGIT_VIT, target=found[-1].node, method="activation") == []


@pytest.mark.parametrize(("activations", "wanted"), [("QInt8", [SIGNED]), ("QUInt8", [])])
def test_int8_activations_are_remarked_on(activations: str, wanted: list[str], tmp_path: Path) -> None:
    assert remarks(static(network(), tmp_path, "QDQ", activations, per_channel=False)) == wanted


def test_weights_of_int8_are_not() -> None:
    assert remarks(weights_stored(network(), as_int8)) == []


@pytest.mark.parametrize(
    ("preprocessing", "words"),
    [
        ({"size": (100, 100)}, "takes pictures of 16x20, not 100x100; leave --size out"),
        ({"layout": "nhwc"}, "is nchw, not nhwc; leave --layout out"),
        ({"color": "gray", "mean": (0.5,), "std": (0.5,)}, "channels: 3, of gray pictures 1; say --color rgb or bgr"),
    ],
    ids=str,
)
def test_preprocessing_that_the_input_cannot_take(preprocessing: dict[str, Any], words: str, tmp_path: Path) -> None:
    plain = Tiny(size=(16, 20)).build()
    out = tmp_path / "out.onnx"
    with pytest.raises(InputError, match=words):
        rc.rewrite(plain, out, preprocessing=rc.Preprocessing(**preprocessing))
    assert not out.exists()
    rc.rewrite(plain, out, preprocessing=rc.Preprocessing(size=(16, 20), layout="nchw"))


@pytest.mark.parametrize("name", ["", 5])
def test_a_target_that_is_no_name(name: Any) -> None:
    with pytest.raises(
        OptionError, match=rf"--target does not take '{name}'; it takes a name, as `inspect` lists them"
    ):
        rc.rewrite(Tiny().build(), target=name)


def test_an_option_that_there_is_not() -> None:
    with pytest.raises(TypeError, match=r"there is no option 'sample'; did you mean 'samples'\?"):
        rc.explainer(Tiny().build(), "rise", sample=20)
