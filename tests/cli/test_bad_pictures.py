"""Files that are no pictures, and what explain and verify say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import onnx_reciprocam as rc
from onnx_reciprocam.errors import InputError

if TYPE_CHECKING:
    from command_line import CommandLine

BAD_PICTURES = {
    "gone.png": "no such file",
    "full": "is a directory",
    "none.png": "the file is empty",
    "text.jpg": "not a JPEG, PNG or WebP picture",
    "vast.png": "20000x20000 is above 100 megapixels",
    "cut.png": "the picture is truncated",
    "cut.jpg": "the picture is truncated",
}


@pytest.mark.parametrize(("file", "words"), BAD_PICTURES.items(), ids=BAD_PICTURES)
def test_explaining_no_picture(cli: CommandLine, file: str, words: str) -> None:
    message = cli.fails("explain", "explained.onnx", file, "-o", "out")
    assert message.startswith(f"1 of 1 pictures not explained; {file}: {words}")


@pytest.mark.parametrize(("file", "words"), BAD_PICTURES.items(), ids=BAD_PICTURES)
def test_verifying_on_no_picture(cli: CommandLine, file: str, words: str) -> None:
    message = cli.fails("verify", "explained.onnx", "--against", "plain.onnx", "--images", file)
    assert message.startswith(f"{file}: {words}")


def test_a_single_pixel_is_a_picture(cli: CommandLine) -> None:
    cli.works("explain", "explained.onnx", "dot.png", "-o", "out")
    assert "out/dot.explained.png" in cli.files()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_arrays_that_are_no_numbers(cli: CommandLine, value: float) -> None:
    session = rc.ExplainedSession(cli.folder / "explained.onnx")
    with pytest.raises(InputError, match="input 'image': has NaN or infinite numbers"):
        session(np.full((1, 3, 16, 16), value, np.float32))
