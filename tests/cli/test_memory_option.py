"""``--max-memory`` in the commands that rewrite."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from command_line import CommandLine

REWRITE = "rewrite plain.onnx -o out.onnx --overwrite --target first --report "
MEMORY = r"Memory of the maps \(of one image, if the batch is open\): about ([\d.]+) MB"


def test_rewrite_says_what_maps_take_and_keeps_to_a_limit(cli: CommandLine) -> None:
    whole = re.search(MEMORY, said := cli.works(*REWRITE.split()))
    assert whole, said
    assert "chunks" not in said
    images = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    wanted = rc.ExplainedSession("out.onnx")(images).saliency
    limit = float(whole[1]) / 2
    said = cli.works(*REWRITE.split(), "--max-memory", f"{limit}MB")
    cut = re.search(MEMORY + r", in (\d+) chunks of cells", said)
    assert cut, said
    assert float(cut[1]) <= limit
    assert int(cut[2]) > 1
    np.testing.assert_allclose(rc.ExplainedSession("out.onnx")(images).saliency, wanted, rtol=1e-4, atol=1e-5)


def test_rewrite_says_when_maps_take_much(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    words = r"The maps take about \d+\.\d GB: with `--max-memory 1GB` they come in chunks of cells\."
    assert not re.search(words, cli.works(*REWRITE.split()))
    monkeypatch.setattr(importlib.import_module("onnx_reciprocam.cli.rewrite"), "MUCH", 1000)
    assert re.search(words, cli.works(*REWRITE.split()))
    assert not re.search(words, cli.works(*REWRITE.split(), "--max-memory", "400kB"))
    assert not re.search(words, cli.works(*REWRITE.split(), "--method", "ablationcam"))  # which cuts nothing


@pytest.mark.parametrize(
    "call",
    [
        "explain plain.onnx photo.png -o out --target first --max-memory 100MB",
        "bench plain.onnx --target first --max-memory 100MB --runs 1 --warmup 0 --no-naive",
    ],
)
def test_what_rewrites_on_the_fly_takes_it_too(cli: CommandLine, call: str) -> None:
    assert cli.works(*call.split())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (REWRITE + "--max-memory lots", r"--max-memory does not take 'lots'; it takes a size such as 512MB, 2GB"),
        (REWRITE + "--max-memory 1kB", r"--max-memory does not take '1kB'; it takes at least \d+kB, which this target"),
        ("explain plain.onnx photo.png -o out --max-memory 1", r"--max-memory does not take '1'"),
        ("explain explained.onnx photo.png -o out --max-memory 1GB", r"--max-memory does not take '1GB'.*already"),
        ("bench plain.onnx --target first --max-memory 1kB", r"--max-memory does not take '1kB'; it takes at least"),
    ],
)
def test_a_bad_limit(cli: CommandLine, call: str, words: str) -> None:
    message = cli.fails(*call.split())
    assert re.search(words, message), message
