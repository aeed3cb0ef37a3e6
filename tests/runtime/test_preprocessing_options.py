from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onnx_reciprocam.cli.preprocessing import read_labels, read_preprocessing
from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

NOTHING: dict[str, str | None] = dict.fromkeys(("size", "crop", "mean", "std", "scale", "color", "layout"))
WRITTEN = Preprocessing(size=(8, 9), crop=None, mean=(0.5,), std=(0.25,), scale=1.0, color="bgr", layout="nhwc")


@pytest.mark.parametrize("base", [None, WRITTEN])
def test_no_option_leaves_what_the_file_says(base: Preprocessing | None) -> None:
    assert read_preprocessing(base, **NOTHING) is base


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("size", "224", (224, 224)),
        ("size", "192x256", (192, 256)),
        ("crop", "0.9", 0.9),
        ("crop", "stretch", None),
        ("mean", "0.4,0.5,0.6", (0.4, 0.5, 0.6)),
        ("mean", "127.5", (127.5,)),
        ("std", "1/4, 1/2, 1", (0.25, 0.5, 1.0)),
        ("scale", "1/255", 1 / 255),
        ("color", "bgr", "bgr"),
        ("layout", "nchw", "nchw"),
    ],
)
@pytest.mark.parametrize("base", [None, WRITTEN])
def test_an_option_changes_its_own_field_alone(
    base: Preprocessing | None, option: str, text: str, value: object
) -> None:
    read = read_preprocessing(base, **(NOTHING | {option: text}))
    wanted = {**vars(base or Preprocessing()), option: value}
    assert vars(read) == wanted


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("size", "large"),
        ("size", "0"),
        ("size", "10x"),
        ("crop", "1.5"),
        ("crop", "none"),
        ("mean", "0.1,0.2"),
        ("mean", "0.1,,0.2"),
        ("std", "0"),
        ("std", "nan"),
        ("scale", "1/0"),
        ("scale", "inf"),
        ("color", "cmyk"),
        ("layout", "chw"),
    ],
)
def test_values_that_are_none(option: str, text: str) -> None:
    with pytest.raises(OptionError, match=f"--{option} does not take"):
        read_preprocessing(None, **(NOTHING | {option: text}))


def test_labels_are_the_lines(tmp_path: Path) -> None:
    (path := tmp_path / "names.txt").write_text("\ufeffcat\r\n\r\nKäse \n\n", "utf-8")
    assert read_labels(path) == ("cat", "", "Käse")
    assert read_labels(None) == ()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\xfd", None])
def test_files_without_labels(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "names.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=r"--labels does not take .*; it takes a text file in UTF-8"):
        read_labels(path)
