from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import onnxruntime
import pytest

from onnx_reciprocam.dataset import read_rows

if TYPE_CHECKING:
    from command_line import CommandLine


def test_rows_and_a_summary(cli: CommandLine) -> None:
    said = cli.works("batch", "explained.onnx", "photo.jpg", "photo.png", "-o", "out", "--overlays", "--quiet")
    assert "2 of 2 explained" in said
    assert "onnx-reciprocam report out" in said
    (rows,) = [batch.to_pylist() for batch in read_rows(cli.folder / "out")]
    assert [row["path"] for row in rows] == ["photo.jpg", "photo.png"]
    assert all((cli.folder / "out" / row["overlay"]).exists() for row in rows)
    again = cli.works("batch", "explained.onnx", "photo.jpg", "photo.png", "-o", "out", "--overlays", "--quiet")
    assert "Nothing is left to do: 2 of 2 were there already" in again
    assert json.loads((cli.folder / "out" / "finished.json").read_text()) == {"rows": 2, "parts": 1}


def test_pictures_that_fail_are_told_and_do_not_stop_it(cli: CommandLine) -> None:
    said = cli.works("batch", "plain.onnx", "photo.jpg", "cut.jpg", "none.png", "-o", "out", "--quiet")
    assert "1 of 3 explained" in said
    assert "2 not explained, such as cut.jpg: the picture is truncated" in said


def test_options_of_a_plain_model(cli: CommandLine) -> None:
    cli.works("batch", "plain.onnx", "photo.jpg", "-o", "out", "--quiet", "--classes", "top:2", "--mask", "gaussian")
    cli.works("batch", "plain.onnx", "photo.jpg", "-o", "npz", "--quiet", "--format", "npz", "--class-id", "1")
    cli.works("batch", "plain.onnx", "photo.jpg", "-o", "cam", "--quiet", "--method", "cam", "--labels", "names.txt")
    shapes = [
        next(read_rows(cli.folder / name)).column("map_shape").to_pylist()[0][0] for name in ("out", "npz", "cam")
    ]
    assert shapes == [2, 1, 1]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["explained.onnx", "nowhere"], "nowhere: no such file or folder"),
        (["gone.onnx", "photo.jpg"], "gone.onnx"),
        (["half.onnx", "photo.jpg"], "half.onnx"),
        (["explained.onnx", "photo.jpg", "--format", "csv"], "--format does not take 'csv'"),
        (["explained.onnx", "photo.jpg", "--engine", "spark"], "--engine does not take 'spark'"),
        (["explained.onnx", "photo.jpg", "--address", "x:1"], "--address does not take 'x:1'"),
        (["explained.onnx", "photo.jpg", "--batch-size", "0"], "--batch-size does not take '0'"),
        (["explained.onnx", "photo.jpg", "--mask", "gaussian"], "--mask does not take 'gaussian'"),
        (["explained.onnx", "photo.jpg", "--class-id", "1"], "--class-id does not take '1'"),
        (["asked.onnx", "photo.jpg"], "--class-id does not take 'nothing'"),
        (["explained.onnx", "photo.jpg", "--provider", "Nonsense"], "Nonsense"),
        (["explained.onnx", "photo.jpg", "--labels", "few.txt"], "names for"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-",
)
def test_bad_calls_are_one_line_and_leave_nothing(words: list[str], reason: str, cli: CommandLine) -> None:
    assert reason in cli.fails("batch", *words, "-o", "out", "--quiet")


def test_results_behind_a_url_are_refused(cli: CommandLine) -> None:
    said = cli.fails("batch", "explained.onnx", "photo.jpg", "-o", "s3://bucket/out", "--quiet")
    assert said.startswith("cannot write s3:/bucket/out: results go to a folder of this machine")


def test_a_source_without_a_picture(cli: CommandLine) -> None:
    (cli.folder / "none").mkdir()
    assert cli.works("batch", "explained.onnx", "none", "-o", "out", "--quiet") == "There is no picture in the source\n"


def test_the_model_is_opened_once(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class Counted(onnxruntime.InferenceSession):
        def __init__(self, path: str, *more: Any) -> None:
            opened.append(path)
            super().__init__(path, *more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counted)
    cli.works("batch", "explained.onnx", "photo.jpg", "-o", "out", "--quiet", "--crop", "stretch")
    assert opened == ["explained.onnx"]
    settings = json.loads((cli.folder / "out" / "settings.json").read_text())
    assert json.loads(settings["preprocessing"])["crop"] is None


def test_preprocessing_that_nobody_names_is_told(cli: CommandLine) -> None:
    from onnx_reciprocam.cli import run

    for more, told in (([], True), (["--mean", "0.5"], False)):
        for model in ("explained.onnx", "plain.onnx"):
            assert run(["batch", model, "photo.jpg", "-o", f"{model}{told}", "--quiet", *more]) == 0
            assert ("No preprocessing in the file or the options" in cli.capture.readouterr().err) is told


def test_a_batch_in_which_nothing_is_explained_fails(cli: CommandLine) -> None:
    from onnx_reciprocam.cli import run

    assert run(["batch", "explained.onnx", "text.jpg", "-o", "out", "--quiet"]) == 1
    assert "not one of 1 pictures was explained" in cli.capture.readouterr().err
