"""``evaluate`` on the terminal: a table that fits and says what it means, JSON, and failures in one line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import onnx
import pytest
from tiny_models import classifier

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

QUICK = ("--steps", "3", "--size", "16")
HEADS = ["Drop↓", "Inc↑", "Coh↑", "Compl↓", "ADCC↑", "Del↓", "Ins↑", "Point↑", "Energy↑", "time"]
MANY = "reciprocam,gradcam,gradcam++,layercam,eigencam,activation,smoothgradcam++,hirescam"


@pytest.fixture
def pictures(cli: CommandLine) -> Path:
    """Two pictures, whose objects a CSV knows."""
    folder = cli.folder / "pictures"
    folder.mkdir()
    for name in ("photo.png", "photo.jpg"):
        shutil.copy(cli.folder / name, folder / name)
    (folder / "boxes.csv").write_text('path,box\nphoto.png,"10,5,50,35"\nphoto.jpg,"0,0,60,40"\n')
    return folder


@pytest.mark.parametrize(
    ("columns", "methods", "source"),
    [
        ("80", "reciprocam,gradcam,eigencam", "pictures"),
        ("80", MANY, "pictures/boxes.csv"),
        ("40", MANY, "pictures/boxes.csv"),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_the_table_fits_and_says_what_it_means(
    columns: str, methods: str, source: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    out = cli.works("evaluate", "plain.onnx", source, "-o", "out", "--methods", methods, *QUICK)
    table, _, rest = out.partition("Percent, below it")
    lines = table.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= int(columns)
    heads = [word for line in lines if line.startswith("method") for word in line.split()[1:]]
    assert heads == (HEADS if "boxes" in source else [head for head in HEADS if head not in {"Point↑", "Energy↑"}])
    assert "…" not in table
    assert ("not measured: Point, Energy; no picture shows" in rest) == ("boxes" not in source)
    for method in methods.split(","):
        assert any(line.startswith(f"{method} ") for line in lines)
    for head in heads[:-1]:
        assert f"\n  {head[:-1]:7}" in rest
    assert rest.endswith("2 pictures compared; page to look at: out/report.html\n")


@pytest.mark.usefixtures("pictures")
def test_json_is_the_summary(cli: CommandLine) -> None:
    out = cli.works("evaluate", "plain.onnx", "pictures", "-o", "out", "--methods", "gradcam, cam", "--json", *QUICK)
    rows = json.loads(out)
    assert {row["method"] for row in rows} == {"gradcam", "cam"}
    assert {(row["metric"], row["better"], row["pictures"]) for row in rows} >= {("drop", "lower", 2)}
    lines = (cli.folder / "out" / "summary.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [[row["method"], row["metric"]] for row in rows]


def test_help_fits(cli: CommandLine) -> None:
    out = cli.works("evaluate", "--help")
    assert max(map(len, out.splitlines())) <= 80
    assert "report.html" in out


def test_bad_pictures_are_counted(pictures: Path, cli: CommandLine) -> None:
    (pictures / "cut.png").write_bytes((cli.folder / "cut.png").read_bytes())
    out = cli.works("evaluate", "plain.onnx", "pictures", "-o", "out", "--methods", "cam", *QUICK)
    assert "1 of 3 pictures not explained, such as pictures/cut.png: the picture is truncated" in out
    assert "2 pictures compared" in out


def test_no_picture_at_all_is_a_failure(pictures: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx_reciprocam.cli import run

    for name in ("photo.png", "photo.jpg"):
        (pictures / name).write_bytes((cli.folder / "cut.png").read_bytes())
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["evaluate", "plain.onnx", "pictures", "-o", "out", "--methods", "cam", *QUICK]) == 1
    out, err = cli.capture.readouterr()
    assert not out
    assert err == (
        "error: no picture was explained by every method, such as pictures/photo.jpg: the picture is truncated; "
        "all are in out/report.html\n"
    )
    assert "No picture was explained by every method" in (cli.folder / "out" / "report.html").read_text("utf-8")


def test_nothing_to_point_at(pictures: Path, cli: CommandLine) -> None:
    from onnx_reciprocam.cli import run

    labels = [f'{name},{label},"0,0,60,40"' for name in ("photo.png", "photo.jpg") for label in range(5)]
    (pictures / "boxes.csv").write_text("\n".join(["path,label,box", *labels]))
    asked = (
        "evaluate",
        "plain.onnx",
        "pictures/boxes.csv",
        "-o",
        "out",
        "--methods",
        "cam",
        "--metrics",
        "pointing",
        *QUICK,
    )
    seen = json.loads(cli.works(*asked, "--json"))
    assert seen[0]["pictures"] == 2  # each picture's prediction is one of its labels
    rows = [json.loads(line) for line in (cli.folder / "out" / "rows.jsonl").read_text().splitlines()]
    wrong = [f'{row["path"]},{row["label"]},"0,0,60,40"' for row in rows if row["label"] != row["predicted"]]
    (pictures / "boxes.csv").write_text("\n".join(["path,label,box", *wrong]).replace("pictures/", ""))
    assert run([*asked, "--json"]) == 1
    assert cli.capture.readouterr().err == (
        "error: nothing was measured: no picture shows the network a box or a mask of the explained class; try --explain label.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("plain.onnx nowhere", "nowhere: no such file or folder; name a folder of pictures"),
        ("plain.onnx pictures --methods cam,", "does not take ''; it takes reciprocam"),
        ("plain.onnx pictures --metrics dropp", "--metrics does not take 'dropp'; it takes drop"),
        ("plain.onnx pictures --metrics pointing", "no picture has a box or a mask"),
        ("plain.onnx pictures --protocol ours", "--protocol does not take 'ours'; it takes default, paper"),
        ("plain.onnx pictures --explain label", "--explain does not take 'label'"),
        ("plain.onnx pictures --tolerance -1", "--tolerance does not take '-1.0'; it takes pixels from 0"),
        ("plain.onnx pictures --limit 0", "--limit does not take '0'"),
        ("plain.onnx pictures --labels few.txt", "4 names for 5 classes"),
        ("plain.onnx pictures -o plain.onnx", "'plain.onnx' is a file; name a folder"),
        ("explained.onnx pictures", "is explained already"),
        ("half.onnx pictures", "half.onnx: "),
    ],
)
@pytest.mark.usefixtures("pictures")
def test_a_call_that_fails_leaves_nothing(arguments: str, words: str, cli: CommandLine) -> None:
    assert words in cli.fails("evaluate", "-o", "out", *arguments.split(), *QUICK)


@pytest.mark.usefixtures("pictures")
def test_a_model_with_a_fixed_batch(cli: CommandLine) -> None:
    onnx.save(classifier(image=(1, 3, 16, 16)), cli.folder / "one.onnx")
    assert "2 pictures compared" in cli.works(
        "evaluate", "one.onnx", "pictures", "-o", "out", "--methods", "reciprocam,gradcam", *QUICK
    )
