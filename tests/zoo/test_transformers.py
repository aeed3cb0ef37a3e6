"""Tiny transformers as PyTorch's exporters write them: what the walk multiplies out of attention stays exact."""

from __future__ import annotations

import gzip
from pathlib import Path

import onnx
import pytest

import onnx_reciprocam as rc

FILES = sorted(Path(__file__).with_name("transformers").glob("*.onnx.gz"))


def load(path: Path) -> onnx.ModelProto:
    return onnx.load_model_from_string(gzip.decompress(path.read_bytes()))


def test_the_files_are_there() -> None:
    assert len(FILES) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
def test_the_automatic_target(path: Path, mask: str) -> None:
    plain = load(path)
    found = rc.verify(rc.rewrite(plain, mask=mask), plain, batches=(1, 2, 5))
    assert found.passed, found
    assert found.flat == 0


@pytest.mark.parametrize("path", [path for path in FILES if path.name.startswith("swin")], ids=lambda path: path.name)
def test_every_map_of_a_swin(path: Path) -> None:
    plain = load(path)
    targets = [candidate for candidate in rc.inspect(plain).candidates if candidate.cells <= 36]
    assert targets[-1].automatic
    assert targets[-1].extra_cost < 0.01
    for candidate in targets[::3]:
        found = rc.verify(rc.rewrite(plain, target=candidate.node, normalize="none"), plain, batches=(2,), cells=5)
        assert found.passed, (candidate.node, found)
