"""Every hostile file ends in one line and exit code 2, in little memory, with nothing read, run or written."""

from __future__ import annotations

import ast
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from confined import Answer, confined
from hostile_files import (
    PETABYTE,
    bad_metadata,
    billion_laughs,
    custom_operator,
    explained,
    external_files,
    grouped,
    nested,
    normed,
    outside,
    plain,
    png,
    told,
    vast_constant,
    vast_initializer,
)

from onnx_reciprocam import ExplainedSession
from onnx_reciprocam.errors import ModelFileError

PACKAGE = Path(__file__).parents[2]
MEGABYTES = 1500
"""The most that a call may have held; onnx, onnxruntime and OpenCV themselves take some 200."""
PLAIN_CALLS = {
    "inspect": ["inspect", "{}"],
    "rewrite": ["rewrite", "{}", "-o", "new.onnx"],
    "verify": ["verify", "good.onnx", "--against", "{}"],
}
EXPLAINED_CALLS = {
    "explain": ["explain", "{}", "photo.png", "-o", "new"],
    "strip": ["strip", "{}", "-o", "new.onnx"],
    "verify": ["verify", "{}", "--against", "plain.onnx"],
    "export-triton": ["export-triton", "{}", "-o", "new"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder that has a parent of its own, with a good model, an explained one and a picture in it."""
    made = tmp_path / "models"
    made.mkdir()
    onnx.save(plain(), made / "plain.onnx")
    onnx.save(explained(), made / "good.onnx")
    (made / "photo.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    return made


def refused(answer: Answer, *words: str) -> None:
    errors = [line for line in answer.lines if not line.startswith("No preprocessing")]
    assert len(errors) == 1, answer.lines
    assert errors[0].startswith("error: ")
    assert any(word in errors[0] for word in words), errors[0]
    assert (answer.code, answer.events) == (2, [])
    assert answer.megabytes < MEGABYTES


def called(calls: dict[str, list[str]], files: list[str], folder: Path) -> list[tuple[str, Answer]]:
    """Each call on each file; nothing may be left behind."""
    lines = [[word.format(file) for word in call] for file in files for call in calls.values()]
    before = {path.name for path in folder.iterdir()}
    answers = confined(lines, folder)
    assert {path.name for path in folder.iterdir()} == before
    return [(" ".join(line), answer) for line, answer in zip(lines, answers, strict=True)]


@pytest.mark.parametrize(("calls", "make"), [(PLAIN_CALLS, plain), (EXPLAINED_CALLS, explained)])
def test_no_file_outside_the_folder_is_read(calls: dict[str, list[str]], make: object, folder: Path) -> None:
    assert callable(make)
    locations = external_files(folder)
    for name, location in locations.items():
        onnx.save(outside(make(), location), folder / f"{name}.onnx")
    files = [f"{name}.onnx" for name in locations]
    for _, answer in called(calls, files, folder):
        refused(answer, "is outside its folder", "is missing")


def test_a_file_inside_the_folder_is_read(folder: Path) -> None:
    external_files(folder)
    onnx.save(outside(plain(), "inside.bin"), folder / "fine.onnx")
    onnx.save(outside(explained(), "inside.bin"), folder / "fine too.onnx")
    (folder / "linked").symlink_to(folder)
    answers = confined(
        [["rewrite", "fine.onnx", "-o", "new.onnx"], ["inspect", "linked/fine.onnx"], ["strip", "fine too.onnx", "-o", "p.onnx"]],
        folder,
    )  # fmt: skip
    assert [answer.code for answer in answers] == [0, 0, 0], answers
    assert ExplainedSession(folder / "fine too.onnx").image.name == "image"


@pytest.mark.parametrize(("location", "code"), [("inside.bin", 0), ("../secret.bin", 2), ("link.bin", 2)])
def test_operators_of_the_runtime_change_nothing(location: str, code: int, folder: Path) -> None:
    """Where onnx's checker gets the model without its folder."""
    external_files(folder)
    onnx.save(outside(normed(), location), folder / "normed.onnx")
    (answer,) = confined([["inspect", "models/normed.onnx"]], folder.parent)
    assert answer.code == code, answer.lines


@pytest.mark.parametrize("location", ["../secret.bin", "inside.bin"])
def test_bytes_have_no_folder(location: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime would take the working folder for one."""
    external_files(folder)
    monkeypatch.chdir(folder)
    model = outside(explained(), location).SerializeToString()
    with pytest.raises(ModelFileError, match="keeps its weights in external files: pass the path"):
        ExplainedSession(model)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    if location == "inside.bin":
        assert ExplainedSession(model, session_options=options).image.name == "image"
    else:
        with pytest.raises(ModelFileError, match="is outside its folder"):
            ExplainedSession(model, session_options=options)


def test_external_data_that_ends_early(folder: Path) -> None:
    external_files(folder)
    spans = {
        "length": {"length": PETABYTE}, "offset": {"offset": PETABYTE}, "negative": {"offset": -8},
        "words": {"offset": "many"}, "both": {"offset": 4, "length": 576},
    }  # fmt: skip
    for name, span in spans.items():
        onnx.save(outside(plain(), "inside.bin", **span), folder / f"{name}.onnx")
    model = outside(plain(), "inside.bin")
    next(tensor for tensor in model.graph.initializer if tensor.dims[:2] == [4, 4]).dims[0] = 1 << 40
    onnx.save(model, folder / "dims.onnx")
    files = [*(f"{name}.onnx" for name in spans), "dims.onnx"]
    for _, answer in called({"inspect": ["inspect", "{}"], "rewrite": PLAIN_CALLS["rewrite"]}, files, folder):
        refused(answer, "ends before the values of 'conv1.weight' do")


def test_sizes_are_bounded_before_anything_is_allocated(folder: Path) -> None:
    bombs = {
        "constant": (vast_constant(plain()), "'vast' would take 4,503,600 GB"),
        "initializer": (vast_initializer([1 << 40, 4, 3, 3]), "is too small for the declared shape"),
        "overflow": (vast_initializer([1 << 31, 1 << 31, 1 << 31]), "overflow"),
        "negative": (vast_initializer([-4, 4, 3, 3]), "Negative dimension"),
        "laughs": (billion_laughs(30), "local functions expand to"),
        "deep laughs": (billion_laughs(3000), "local functions"),
        "circle": (billion_laughs(3, recursive=True), "Cycle"),
        "custom": (custom_operator(), "does not know"),
    }
    for name, (model, _) in bombs.items():
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    calls = {"inspect": ["inspect", "{}"], "rewrite": PLAIN_CALLS["rewrite"]}
    for call, answer in called(calls, [f"{name}.onnx" for name in bombs], folder):
        name = next(name for name in sorted(bombs, key=len, reverse=True) if f"{name}.onnx" in call)
        refused(answer, bombs[name][1])


def test_subgraphs_inside_each_other(folder: Path) -> None:
    (folder / "nested.onnx").write_bytes(nested(5000))
    (folder / "group.onnx").write_bytes(grouped(outside(explained(), "../secret.bin")))
    for _, answer in called(PLAIN_CALLS | EXPLAINED_CALLS, ["nested.onnx"], folder):
        refused(answer, "no ONNX", "does not parse", "Protobuf parsing failed")
    for _, answer in called({"explain": EXPLAINED_CALLS["explain"]}, ["group.onnx"], folder):
        refused(answer, "no ONNX")


def test_metadata_that_lies(folder: Path) -> None:
    for name, entries in bad_metadata().items():
        onnx.save(told(**entries), folder / f"{name}.onnx")
    for _, answer in called(
        {"explain": EXPLAINED_CALLS["explain"]}, [f"{name}.onnx" for name in bad_metadata()], folder
    ):
        refused(answer, "its reciprocam metadata is unusable")


def test_a_picture_and_an_input_that_are_too_large(folder: Path) -> None:
    for name, crop in {"stretched": "null", "cropped": "0.5"}.items():
        onnx.save(told(preprocessing=f'{{"size": [100000, 100000], "crop": {crop}}}'), folder / f"{name}.onnx")
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))
    calls = [["explain", f"{name}.onnx", "photo.png", "-o", "new"] for name in ("stretched", "cropped")]
    answers = confined([*calls, ["explain", "good.onnx", "bomb.png", "-o", "new"]], folder)
    for answer in answers:
        refused(answer, "is above 100 megapixels")


def test_an_explained_file_that_asks_for_petabytes(folder: Path) -> None:
    """The runtime finds out when it allocates: in a limited process, that is an error like any other."""
    onnx.save(vast_constant(explained()), folder / "vast.onnx")
    for _, answer in called({"explain": EXPLAINED_CALLS["explain"]}, ["vast.onnx"], folder):
        refused(answer, "ConstantOfShape", "cannot load")


CODE = {"pickle", "marshal", "shelve", "dill", "joblib", "eval", "exec", "register_custom_ops_library"}


def test_nothing_is_loaded_that_is_code() -> None:
    """No eval, no library of custom operators, no arrays that hold objects, no pickle but between Ray's own workers."""
    for source in [*(PACKAGE / "onnx_reciprocam").rglob("*.py"), *(PACKAGE / "cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            words = {getattr(node, "id", None), getattr(node, "attr", None)}
            if isinstance(node, ast.Import | ast.ImportFrom):
                words |= {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", source
            words -= {"pickle"} if source.name == "ray_engine.py" else set()
            assert not words & CODE, f"{source}:{getattr(node, 'lineno', 0)}"


def test_ordinary_calls_open_no_connection(folder: Path) -> None:
    answers = confined(
        [
            ["inspect", "plain.onnx"],
            ["rewrite", "plain.onnx", "-o", "new.onnx"],
            ["verify", "new.onnx", "--against", "plain.onnx"],
            ["strip", "new.onnx", "-o", "again.onnx"],
            ["export-triton", "new.onnx", "-o", "models"],
        ],
        folder,
    )
    assert [(answer.code, answer.events) for answer in answers] == [(0, [])] * 5, answers
