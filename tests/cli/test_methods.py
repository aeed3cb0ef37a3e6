"""Methods on the command line: listed, chosen, compared, timed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest
from tiny_networks import assemble, make

from onnx_reciprocam.methods import methods

if TYPE_CHECKING:
    from command_line import CommandLine


def test_all_are_listed(cli: CommandLine) -> None:
    said = cli.works("methods")
    assert all(len(line) <= 80 for line in said.splitlines()[:-2])
    assert [line.split()[0] for line in said.splitlines() if line.split()[0] in methods()] == list(methods())
    rows = json.loads(cli.works("methods", "--json"))
    assert [row["name"] for row in rows] == list(methods())
    assert {row["name"] for row in rows if not row["spliced"]} >= {"rise", "scorecam", "lime", "kernelshap", "extremal"}


def test_one_tells_its_paper(cli: CommandLine) -> None:
    said = cli.works("methods", "gradcam++")
    assert "arXiv:1710.11063" in said
    assert "--method does not take 'gradcamplus'" in cli.fails("methods", "gradcamplus")


@pytest.mark.parametrize("method", ["gradcam", "occlusion", "rise --samples 5 --seed 3"])
def test_a_plain_model_is_explained_by_any(method: str, cli: CommandLine) -> None:
    cli.works(*f"explain plain.onnx photo.png -o out --method {method}".split())
    assert cv2.imread("out/photo.explained.png") is not None


def test_a_file_is_written_with_a_spliced_one(cli: CommandLine) -> None:
    said = cli.works(*["rewrite", "plain.onnx", "-o", "out.onnx", "--method", "gradcam"])
    assert "maps of features" in said
    entries = {entry.key: entry.value for entry in onnx.load("out.onnx").metadata_props}
    assert (entries["reciprocam.method"], entries["reciprocam.mask"]) == ("gradcam", "none")
    said = cli.works(*["verify", "out.onnx", "--against", "plain.onnx"])
    assert "has no naive" in " ".join(said.split())
    assert "runs around the session" in cli.fails(*["rewrite", "plain.onnx", "-o", "new.onnx", "--method", "rise"])


def test_methods_side_by_side(cli: CommandLine) -> None:
    call = "explain plain.onnx photo.png -o out --compare reciprocam,gradcam,occlusion,rise --samples 5 --mask gaussian"
    said = cli.works(*call.split())
    for method in ("reciprocam", "gradcam", "occlusion", "rise"):
        assert re.search(rf"{method} +│ +[\d.]+ │", said), said
    picture = cv2.imread("out/photo.compared.png")
    assert picture is not None
    assert picture.shape[1] > 4 * 400  # four panels in a row, the fifth below
    assert (np.asarray(picture)[-300:, :400] != 255).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("explain plain.onnx photo.png -o out --compare reciprocam,ris", "--method does not take 'ris'"),
        (
            "explain plain.onnx photo.png -o out --compare reciprocam --method rise",
            "--compare, which names the methods",
        ),
        ("explain explained.onnx photo.png -o out --compare reciprocam", "explained already"),
        ("explain explained.onnx photo.png -o out --method gradcam", "explained already"),
        ("explain plain.onnx photo.png -o out --samples 5", "nothing with --method reciprocam"),
        ("explain plain.onnx photo.png -o out --compare cam,reciprocam --samples 5", "--samples does not take '5'"),
        (
            "evaluate plain.onnx . -o out --methods gradcam,cam --mask gaussian --size 16",
            "--mask does not take 'gaussian'",
        ),
        ("bench plain.onnx --compare gradcam,cam --seed 5", "--seed does not take '5'"),
        ("bench plain.onnx --samples 5", "nothing with --method reciprocam"),
        ("bench plain.onnx --compare gradcam --batch 2", "1 with --compare"),
        ("bench plain.onnx --method rise", "runs around the session"),
    ],
)
def test_a_bad_call(call: str, words: str, cli: CommandLine) -> None:
    assert words in cli.fails(*call.split())


def test_no_cells_is_said_aloud(cli: CommandLine, capfd: pytest.CaptureFixture[str]) -> None:
    weights = {"fc": np.ones((2, 3 * 16 * 16), np.float32)}
    nodes = [make("Flatten", ["image"], ["flat"], "flat"), make("Gemm", ["flat", "fc"], ["scores"], "fc", transB=1)]
    onnx.save(assemble(nodes, weights, {"image": ["b", 3, 16, 16]}, {"scores": ["b", 2]}), "flat.onnx")
    from onnx_reciprocam.cli import run

    assert run(["explain", "flat.onnx", "photo.png", "-o", "out"]) == 0
    assert "so occlusion does, in many runs" in capfd.readouterr().err
    assert cv2.imread("out/photo.explained.png") is not None
    assert "RC124" in cli.fails(*["explain", "flat.onnx", "photo.png", "-o", "other", "--method", "gradcam"])


def test_methods_are_timed_in_one_run(cli: CommandLine) -> None:
    call = "bench plain.onnx --compare reciprocam,gradcam,occlusion --runs 2 --warmup 1"
    rows = json.loads(cli.works(*call.split(), "--json"))
    assert [row["method"] for row in rows] == ["plain", "reciprocam", "gradcam", "occlusion"]
    assert [len(row["milliseconds"]) for row in rows] == [2, 2, 2, 1]
    assert rows[0]["ratios"] == [1, 1]
    assert rows[-1]["inferences"] > 1
    said = cli.works(*call.split())
    assert re.search(r"occlusion +[\d.,]+ +[\d.,]+", said)
    said = cli.works(*["bench", "plain.onnx", "--method", "gradcam", "--runs", "2", "--warmup", "1"])
    assert "gradcam has none" in said
