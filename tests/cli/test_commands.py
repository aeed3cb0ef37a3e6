"""Each command once, as the README calls it: files, words, and how they look in 80 columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

import onnx_reciprocam as rc
from onnx_reciprocam.runtime import read_image

if TYPE_CHECKING:
    from command_line import CommandLine

HELP = {
    "": ("inspect", "rewrite", "explain", "verify", "strip", "demo"),
    "inspect": ("MODEL", "--json", "--output", "--size"),
    "rewrite": ("MODEL", "--out", "--target", "gaussian", "probability", "top:3", "minmax", "--labels", "1/255", "default"),
    "explain": ("MODEL", "IMAGE", "--output-dir", "--class-id", "--mask", "0.485,0.456,0.406"),
    "verify": ("EXPLAINED", "--against", "--images", "--batches", "Exit code 1"),
    "strip": ("EXPLAINED", "--out"),
    "demo": ("--output-dir", "reciprocam-demo", "--overwrite"),
}  # fmt: skip


def new_files(cli: CommandLine, *call: str) -> tuple[set[str], str]:
    """The files that a call adds, and what it says."""
    before = set(cli.files())
    said = cli.works(*call)
    return set(cli.files()) - before, said


@pytest.mark.parametrize(("command", "words"), HELP.items(), ids=[command or "all" for command in HELP])
def test_help_teaches(cli: CommandLine, command: str, words: tuple[str, ...]) -> None:
    said = cli.works(*command.split(), "--help")
    assert not [word for word in words if word not in said]
    assert max(map(len, said.splitlines())) <= 80


def test_version(cli: CommandLine) -> None:
    assert cli.works("--version").strip() == rc.__version__


def test_inspect(cli: CommandLine) -> None:
    files, said = new_files(cli, "inspect", "plain.onnx")
    assert files == set()
    assert [line.split()[-1] for line in said.splitlines()[1:6]] == ["--target", "stem", "first", "add", "last"]
    assert next(line.split()[-1] for line in said.splitlines() if line.startswith("* ")) == "last"
    assert max(map(len, said.splitlines()[:6])) <= 80
    assert "onnx-reciprocam rewrite plain.onnx -o plain.explained.onnx" in said


def test_inspect_for_programs(cli: CommandLine) -> None:
    found = json.loads(cli.works("inspect", "plain.onnx", "--json"))
    assert (found["output"], found["classes"]) == ("logits", 5)
    assert [candidate["node"] for candidate in found["candidates"] if candidate["automatic"]] == ["last"]


def test_rewrite(cli: CommandLine) -> None:
    files, said = new_files(cli, "rewrite", "plain.onnx", "-o", "out.onnx")
    assert files == {"out.onnx"}
    assert said.startswith("out.onnx: 8x8 maps of features, class predicted\n")
    for step in ("verify out.onnx --against plain.onnx", "explain out.onnx PHOTO.jpg -o DIR", "--labels FILE"):
        assert step in said
    result = rc.ExplainedSession("out.onnx")(np.ones((2, 3, 16, 16), np.float32))
    assert result.saliency.shape == (2, 1, 8, 8)


def test_rewrite_with_every_option(cli: CommandLine) -> None:
    call = (
        "rewrite plain.onnx -o out.onnx --target first --method reciprocam --mask gaussian --score probability "
        "--classes top:2 --output logits --normalize none --upsample input --toggle --report --overwrite --size 16x16 "
        "--crop stretch --mean 0.5 --std 0.5 --scale 1/255 --color bgr --layout nchw --labels names.txt"
    )
    files, said = new_files(cli, *call.split())
    assert files == {"out.onnx"}
    assert "Multiply-adds per image: plain" in said
    assert "--labels" not in said
    session = rc.ExplainedSession("out.onnx")
    contract, prepared = session.contract, session.preprocessing
    assert (contract.mask, contract.score, contract.classes) == ("gaussian", "probability", "top:2")
    assert (contract.normalize, contract.upsample, contract.target) == ("none", "input", "first.out")
    assert (prepared.size, prepared.crop, prepared.mean, prepared.color) == ((16, 16), None, (0.5,), "bgr")
    assert session.labels[1] == "class of 1"
    assert session.explain_image("photo.jpg").saliency.shape == (1, 2, 16, 16)


def test_names_that_look_like_markup(cli: CommandLine) -> None:
    said = cli.works("rewrite", "plain.onnx", "-o", "my [bold] [\N{EURO SIGN}].onnx", "--report")
    assert said.startswith("my [bold] [\N{EURO SIGN}].onnx: 8x8 maps")
    assert "verify 'my [bold] [\N{EURO SIGN}].onnx' --against plain.onnx" in said


def test_verify(cli: CommandLine) -> None:
    files, said = new_files(cli, "verify", "explained.onnx", "--against", "plain.onnx")
    assert files == set()
    lines = said.splitlines()
    assert all(line.startswith(("ok ", "  ")) for line in lines[:-1])
    assert lines[-1].startswith("Passed: predictions and 3 maps; worst error")
    assert lines[-1].endswith("of its tolerance")
    assert max(map(len, lines)) <= 80
    assert "bit-identical" in said


def test_verify_on_pictures(cli: CommandLine) -> None:
    call = ("verify", "explained.onnx", "--against", "plain.onnx", "--images", "photo.png", "--images", "photo.jpg")
    assert "Passed: predictions and 2 maps" in cli.works(*call)


def test_strip(cli: CommandLine) -> None:
    files, said = new_files(cli, "strip", "explained.onnx", "-o", "again.onnx")
    assert files == {"again.onnx"}
    assert said == "again.onnx: the original graph\n"
    assert onnx.load("again.onnx").graph == onnx.load("plain.onnx").graph


@pytest.mark.parametrize("model", ["explained.onnx", "plain.onnx"])
def test_explain(cli: CommandLine, model: str) -> None:
    files, said = new_files(cli, "explain", model, "photo.png", "dot.png", "-o", "deep/out", "--labels", "names.txt")
    pictures = {"deep/out/photo.explained.png", "deep/out/dot.explained.png"}
    assert files == {"deep", "deep/out", *pictures}
    assert all(read_image(picture).shape[1] > 400 for picture in pictures)
    assert "class of " in said
    assert "2 of 2 explained, in deep/out" in said
    assert max(map(len, said.splitlines())) <= 80


def test_explain_classes_by_number(cli: CommandLine) -> None:
    files, _ = new_files(cli, "explain", "plain.onnx", "photo.png", "-o", "out", "--class-id", "4", "--class-id", "0")
    assert files == {"out", "out/photo.explained.png", "out/photo.explained-2.png"}


@pytest.mark.slow
def test_demo(cli: CommandLine) -> None:
    files, said = new_files(cli, "demo", "-o", "demo")
    names = ("efficientnet-lite0.onnx", "efficientnet-lite0.explained.onnx", "demo.png", "chelsea.explained.png")
    assert {f"demo/{name}" for name in names} < files
    assert "Verified" in said
    assert "demo/demo.png" in said
