"""Tiny transformers as PyTorch's exporters write them: tokens in parts, or multiplied out where they must be, stay exact."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_reciprocam as rc

FOLDER = Path(__file__).with_name("transformers")
FILES = [path for path in sorted(FOLDER.glob("*.onnx.gz")) if not path.name.startswith("open_")]
TARGETS = {
    "vit": ("b 1+hw c", 9),
    "timm_vit": ("b 1+hw c", 24),
    "deit_distilled": ("b 2+hw c", 24),
    "vit_registers": ("b 5+hw c", 24),
    "vit_mean": ("b hw c", 24),
    "vit_map": ("b hw c", 24),
    "cait": ("b hw c", 24),
    "beit": ("b hw c", 24),
    "mixer": ("b hw c", 24),
    "hiera": ("b hw c", 24),
    "swin": ("b c h w", 36),
}
"""Layout and cells of each automatic target."""
CHEAP = {"vit", "timm_vit", "deit_distilled", "vit_registers", "vit_mean", "vit_map", "cait"}
"""Networks whose resting tokens stay equal from the first block on."""


OPEN = {"open_vit": "b 1+hw c", "open_registers": "b 5+hw c", "open_mean": "b hw c"}
"""Networks that take pictures of any size, and the layout of the automatic target."""


def load(path: Path) -> onnx.ModelProto:
    return onnx.load_model_from_string(gzip.decompress(path.read_bytes()))


def network(path: Path) -> str:
    return path.name.partition(".")[0]


def test_the_files_are_there() -> None:
    assert {network(path) for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("mask", ["pixel", "gaussian"])
def test_the_automatic_target(path: Path, mask: str) -> None:
    plain = load(path)
    explained = rc.rewrite(plain, mask=mask)
    found = rc.verify(explained, plain, batches=(1, 2, 5))
    assert found.passed, found
    assert found.flat == 0
    metadata = {entry.key: entry.value for entry in explained.metadata_props}
    layout, cells = TARGETS[network(path)]
    height, width = map(int, metadata["reciprocam.grid"].split(","))
    assert (metadata["reciprocam.layout"], height * width) == (layout, cells)


@pytest.mark.parametrize("path", [path for path in FILES if network(path) in CHEAP], ids=lambda path: path.name)
def test_every_block_of_tokens(path: Path) -> None:
    plain = load(path)
    tokens = [candidate for candidate in rc.inspect(plain).candidates if "hw" in candidate.layout]
    start = next(i for i, candidate in enumerate(tokens) if not candidate.widened)
    assert all(candidate.widened == 0 for candidate in tokens[start:])
    for candidate in (tokens[start], tokens[-2]):
        found = rc.verify(rc.rewrite(plain, target=candidate.node, normalize="none"), plain, batches=(2,))
        assert found.passed, (candidate.node, found)


def test_a_layer_that_tells_patches_apart_is_named() -> None:
    beit = load(next(path for path in FILES if network(path) == "beit"))
    block = next(candidate for candidate in rc.inspect(beit).candidates if candidate.layout == "b 1+hw c")
    assert block.widened
    found = rc.verify(rc.rewrite(beit, target=block.node, normalize="none"), beit, batches=(2,), cells=6)
    assert found.passed, found


@pytest.mark.parametrize("path", [path for path in FILES if network(path) == "swin"], ids=lambda path: path.name)
def test_every_map_of_a_swin(path: Path) -> None:
    plain = load(path)
    targets = [candidate for candidate in rc.inspect(plain).candidates if candidate.cells <= 36]
    assert targets[-1].automatic
    assert targets[-1].extra_cost < 0.01
    for candidate in targets[::3]:
        found = rc.verify(rc.rewrite(plain, target=candidate.node, normalize="none"), plain, batches=(2,), cells=5)
        assert found.passed, (candidate.node, found)


def open_network(name: str) -> onnx.ModelProto:
    return load(FOLDER / f"{name}.open.onnx.gz")


@pytest.mark.parametrize("options", [{}, {"mask": "gaussian"}, {"mask": "replicated", "upsample": "input"}], ids=str)
@pytest.mark.parametrize("name", OPEN)
def test_pictures_of_any_size(name: str, options: dict[str, str]) -> None:
    plain = open_network(name)
    explained = rc.rewrite(plain, **options)
    metadata = {entry.key: entry.value for entry in explained.metadata_props}
    assert (metadata["reciprocam.layout"], metadata["reciprocam.grid"]) == (OPEN[name], "?,?")
    found = rc.verify(explained, plain, batches=(1, 2), cells=12)
    assert found.passed, found
    assert found.flat == 0


@pytest.mark.parametrize("name", OPEN)
def test_any_size_costs_what_one_size_costs(name: str) -> None:
    candidates = rc.inspect(open_network(name)).candidates
    embedded = next(
        i for i, candidate in enumerate(candidates) if candidate.layout == OPEN[name] and not candidate.widened
    )
    assert all(candidate.widened == 0 for candidate in candidates[embedded:])
    assert next(candidate for candidate in candidates if candidate.automatic).extra_cost < 0.25


def test_one_file_explains_pictures_of_all_shapes() -> None:
    plain = open_network("open_vit")
    session = rc.ExplainedSession(rc.rewrite(plain, toggle=True).SerializeToString())
    for height, width in ((32, 48), (80, 16), (16, 16)):
        pictures = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
        maps = session(pictures).saliency
        assert maps is not None
        assert maps.shape == (2, 1, height // 16, width // 16)
        assert np.isfinite(maps).all()
