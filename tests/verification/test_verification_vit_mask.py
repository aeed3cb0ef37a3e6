"""``post-norm`` files whose metadata is wrong fail in the check that is about it."""

from __future__ import annotations

import gzip
from pathlib import Path

import onnx
import pytest
from onnx import helper

import onnx_reciprocam as rc
from onnx_reciprocam.errors import MetadataError

FILE = Path(__file__).parents[1] / "zoo" / "transformers" / "timm_vit.ts1.onnx.gz"
NORM = "/blocks/blocks.1/norm1/LayerNormalization_output_0"
ATTENTION = "/blocks/blocks.1/attn/proj/Add_output_0"
SECOND_NORM = "/blocks/blocks.1/norm2/LayerNormalization_output_0"


@pytest.fixture(scope="module")
def plain() -> onnx.ModelProto:
    return onnx.load_model_from_string(gzip.decompress(FILE.read_bytes()))


def explained(plain: onnx.ModelProto, where: str, says: dict[str, str]) -> onnx.ModelProto:
    """A rewritten file that says something else of itself; nothing where the word is empty."""
    model = rc.rewrite(plain, vit_mask=where, normalize="none")
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries |= {f"reciprocam.{key}": word for key, word in says.items()}
    del model.metadata_props[:]
    helper.set_model_props(model, {key: word for key, word in entries.items() if word})
    return model


def failures(plain: onnx.ModelProto, where: str, **says: str) -> set[str]:
    found = rc.verify(explained(plain, where, says), plain, batches=(1,), cells=4)
    return {check.name.partition(",")[0] for check in found.checks if not check.passed}


def test_right_files_pass(plain: onnx.ModelProto) -> None:
    assert failures(plain, "post-norm") == set()
    assert failures(plain, "residual") == set()
    assert failures(plain, "residual", vit_mask="") == set()


def test_the_other_mask(plain: onnx.ModelProto) -> None:
    assert failures(plain, "post-norm", vit_mask="residual", norm="") == {"maps"}
    assert failures(plain, "residual", vit_mask="post-norm", norm=NORM) == {"maps"}


def test_what_is_no_norm(plain: onnx.ModelProto) -> None:
    assert failures(plain, "post-norm", norm=ATTENTION) == {"norm", "maps"}
    assert failures(plain, "post-norm", norm=SECOND_NORM) == {"norm", "maps"}
    assert failures(plain, "post-norm", norm="nowhere") == {"norm", "target"}


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"vit_mask": "purple"}, "'purple' is not a valid VitMask"),
        ({"norm": ""}, "says 'post-norm' and names none as the norm"),
        ({"vit_mask": "residual"}, "says 'residual' and names '/blocks/blocks.1/norm1.*' as the norm"),
    ],
    ids=str,
)
def test_words_that_do_not_fit(plain: onnx.ModelProto, says: dict[str, str], words: str) -> None:
    with pytest.raises(MetadataError, match=words):
        rc.verify(explained(plain, "post-norm", says), plain)
