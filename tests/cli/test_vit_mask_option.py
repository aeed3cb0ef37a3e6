"""``--vit-mask`` on the commands that have it."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest

if TYPE_CHECKING:
    from command_line import CommandLine

FILE = Path(__file__).parents[1] / "zoo" / "transformers" / "timm_vit.ts13.onnx.gz"
NORM = "/blocks/blocks.1/norm1/Add_1_output_0"


@pytest.fixture
def vit(cli: CommandLine) -> CommandLine:
    """The command line beside a file ``vit.onnx``."""
    (cli.folder / "vit.onnx").write_bytes(gzip.decompress(FILE.read_bytes()))
    return cli


def test_rewrite(vit: CommandLine) -> None:
    vit.works("rewrite", "vit.onnx", "-o", "out.onnx", "--vit-mask", "post-norm", "--report")
    metadata = {entry.key: entry.value for entry in onnx.load(vit.folder / "out.onnx").metadata_props}
    assert (metadata["reciprocam.vit_mask"], metadata["reciprocam.norm"]) == ("post-norm", NORM)
    assert "norm" in vit.works("verify", "out.onnx", "--against", "vit.onnx")


def test_explain(vit: CommandLine) -> None:
    size = ("--size", "32x48")
    for where in ("residual", "post-norm"):
        vit.works("explain", "vit.onnx", "photo.png", "-o", where, "--vit-mask", where, *size)
    pictures = [next((vit.folder / where).iterdir()).read_bytes() for where in ("residual", "post-norm")]
    assert pictures[0] != pictures[1]


def test_bench(vit: CommandLine) -> None:
    call = "bench vit.onnx --vit-mask post-norm --runs 1 --warmup 0 --threads 1 --json"
    found = json.loads(vit.works(*call.split()))
    assert [variant["name"] for variant in found["variants"]] == ["plain", "explained", "naive"]


CALLS = {
    "rewrite plain.onnx -o out.onnx --vit-mask post-norm": r"does not fit 'last': its cells are no tokens\. .*leave the",
    "explain plain.onnx photo.png -o out --vit-mask post-norm": r"does not fit 'last': its cells are no tokens",
    "bench plain.onnx --vit-mask post-norm": r"does not fit 'last': its cells are no tokens",
    "rewrite vit.onnx -o out.onnx --target /Concat --vit-mask post-norm": r"no norm .* it fits: '/Add', ",
    "explain explained.onnx photo.png -o out --vit-mask post-norm": r"--vit-mask.*post-norm.*explained already",
    **{
        f"{call} --vit-mask purple": r"--vit-mask.*purple.*post-norm"
        for call in ("rewrite vit.onnx -o out.onnx", "explain vit.onnx photo.png -o out", "bench vit.onnx")
    },
}


@pytest.mark.parametrize(("call", "words"), CALLS.items(), ids=list(CALLS))
def test_a_bad_call(vit: CommandLine, call: str, words: str) -> None:
    message = vit.fails(*call.split())
    assert re.search(words, message), message
