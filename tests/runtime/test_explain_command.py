from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import typer
from explained_models import WEIGHTS, explained
from onnx import TensorProto, helper, numpy_helper
from picture_files import encode
from typer.testing import CliRunner, Result

from onnx_reciprocam.cli.explain import explain
from onnx_reciprocam.errors import InputError, ModelFileError, OptionError, ReciprocamError, WriteError
from onnx_reciprocam.runtime import read_image

if TYPE_CHECKING:
    from pathlib import Path

app = typer.Typer()
app.command()(explain)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, a broken one and a model; the terminal has 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    (tmp_path / "one.png").write_bytes(encode(".png", pixels))
    (tmp_path / "two.jpg").write_bytes(encode(".jpg", pixels // 2))
    (tmp_path / "broken.png").write_bytes(encode(".png", pixels)[:99])
    (tmp_path / "model.onnx").write_bytes(explained())
    (tmp_path / "asked.onnx").write_bytes(explained("input"))
    (tmp_path / "bare.onnx").write_bytes(explained(preprocessing=None, labels=()))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-o", "out"])


def fails(*arguments: str) -> ReciprocamError:
    error = run(*arguments).exception
    assert isinstance(error, ReciprocamError)
    assert "\n" not in str(error)
    return error


def test_every_picture_gets_a_file_and_a_row(folder: Path) -> None:
    result = run("model.onnx", "one.png", "two.jpg")
    assert result.exit_code == 0
    assert result.stderr.strip() == ""
    assert sorted(file.name for file in (folder / "out").iterdir()) == ["one.explained.png", "two.explained.png"]
    assert read_image(folder / "out" / "one.explained.png").shape[1] > 400
    for word in ("one.png", "two.explained.png", "blue", "2 of 2 explained, in out"):
        assert word in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    result = run("model.onnx", "broken.png", "gone.png", "one.png")
    assert result.exit_code == 2
    assert [file.name for file in (folder / "out").iterdir()] == ["one.explained.png"]
    for words in ("the picture is truncated", "no such file", "1 of 3 explained"):
        assert words in result.stdout


def test_what_is_there_stays_unless_told(folder: Path) -> None:
    (folder / "out").mkdir()
    (file := folder / "out" / "two.explained.png").write_text("mine")
    with pytest.raises(WriteError, match=r"two.explained.png: it exists; add --overwrite"):
        raise fails("model.onnx", "one.png", "two.jpg")
    assert [file.read_text() for file in (folder / "out").iterdir()] == ["mine"]
    assert run("model.onnx", "one.png", "two.jpg", "--overwrite").exit_code == 0
    assert read_image(file).ndim == 3


def test_two_pictures_of_one_name(folder: Path) -> None:
    (folder / "one.jpg").write_bytes((folder / "two.jpg").read_bytes())
    with pytest.raises(WriteError, match=r"both one.png and one.jpg would go there"):
        raise fails("model.onnx", "one.png", "one.jpg")


def test_an_output_folder_that_cannot_be(folder: Path) -> None:
    (folder / "out").write_text("a file")
    with pytest.raises(WriteError, match="cannot write out: "):
        raise fails("model.onnx", "one.png")


def test_imagenet_preprocessing_is_announced(folder: Path) -> None:
    assert folder.exists()
    told = "No preprocessing in the file or the options: ImageNet's is used."
    assert run("bare.onnx", "one.png").stderr.strip() == told
    assert told not in run("bare.onnx", "one.png", "--overwrite", "--size", "32", "--crop", "stretch").stderr


def test_labels_from_a_file(folder: Path) -> None:
    (folder / "names.txt").write_text("rouge\nvert\nbleu [sic]\nnoir\n\n")
    assert "bleu [sic]" in run("bare.onnx", "one.png", "--labels", "names.txt").stdout
    (folder / "few.txt").write_text("rouge\n")
    with pytest.raises(InputError, match="1 names for 4 classes"):
        raise fails("bare.onnx", "one.png", "--labels", "few.txt")


def test_classes_that_are_asked_for(folder: Path) -> None:
    assert run("asked.onnx", "one.png", "--class-id", "0", "--class-id", "3").exit_code == 0
    names = sorted(file.name for file in (folder / "out").iterdir())
    assert names == ["one.explained-2.png", "one.explained.png"]
    with pytest.raises(OptionError, match="--class-id does not take 'nothing'; it takes a class number"):
        raise fails("asked.onnx", "two.jpg")
    with pytest.raises(OptionError, match="it takes nothing: this file explains classes 'predicted'"):
        raise fails("model.onnx", "two.jpg", "--class-id", "0")


def test_options_of_a_rewrite_are_for_plain_models(folder: Path) -> None:
    assert folder.exists()
    with pytest.raises(OptionError, match="--mask does not take 'gaussian'; it takes a plain model"):
        raise fails("model.onnx", "one.png", "--mask", "gaussian")


def test_a_model_that_is_not_there(folder: Path) -> None:
    assert folder.exists()
    with pytest.raises(ModelFileError, match=r"gone.onnx: no such file"):
        raise fails("gone.onnx", "one.png")


def _plain() -> onnx.ModelProto:
    """A 3x3 convolution, pooled, then linear."""
    kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["features"], pads=[1] * 4),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights"], ["logits"], transB=1),
    ]
    taken = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["B", 3, 16, 16])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 4])
    weights = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(WEIGHTS, "weights")]
    graph = helper.make_graph(nodes, "g", [taken], [given], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    "options", [[], ["--classes", "top:2", "--mask", "gaussian"], ["--class-id", "1", "--class-id", "2"]]
)
def test_a_plain_model_is_rewritten_on_the_fly(folder: Path, options: list[str]) -> None:
    onnx.save(_plain(), folder / "plain.onnx")
    assert run("plain.onnx", "one.png", *options).exit_code == 0
    assert len(list((folder / "out").iterdir())) == (2 if options else 1)
    assert len(list(folder.glob("*.onnx"))) == 4
