"""Every command against files that are no models, or not the ones it wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine

COMMANDS = {
    "inspect": "inspect {}",
    "rewrite": "rewrite {} -o out.onnx",
    "verify": "verify {} --against plain.onnx",
    "verify against": "verify explained.onnx --against {}",
    "strip": "strip {} -o out.onnx",
    "explain": "explain {} photo.png -o out",
}
BAD_FILES = {
    "gone.onnx": r"no such file",
    "full": r"is a (folder|directory)",
    "empty.onnx": r"no ONNX|no graph|onnxruntime cannot load",
    "half.onnx": r"no ONNX|damaged|onnxruntime cannot load",
    "random.onnx": r"no ONNX|damaged|onnxruntime cannot load",
    "text.onnx": r"no ONNX|damaged|onnxruntime cannot load",
    "unchecked.onnx": r"fails onnx's checker|onnxruntime cannot load|nowhere|plain model",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("file", "words"), BAD_FILES.items(), ids=BAD_FILES)
def test_a_file_that_is_no_model(cli: CommandLine, command: str, file: str, words: str) -> None:
    message = cli.fails(*COMMANDS[command].format(file).split())
    assert file in message
    assert re.search(words, message, re.IGNORECASE), message


@pytest.mark.parametrize("command", ["inspect asked.onnx", "rewrite explained.onnx -o out.onnx"])
def test_an_explained_file_is_not_explained_again(cli: CommandLine, command: str) -> None:
    assert "is explained already. Get the original back: onnx-reciprocam strip" in cli.fails(*command.split())


def test_verifying_against_an_explained_file(cli: CommandLine) -> None:
    assert "asked.onnx is explained already" in cli.fails("verify", "explained.onnx", "--against", "asked.onnx")


@pytest.mark.parametrize("command", ["strip other.onnx -o out.onnx", "verify other.onnx --against plain.onnx"])
def test_a_plain_file_where_an_explained_one_is_needed(cli: CommandLine, command: str) -> None:
    assert "other.onnx is a plain model, without saliency. First: onnx-reciprocam rewrite" in cli.fails(
        *command.split()
    )


def test_verifying_against_another_model_fails_the_check(cli: CommandLine) -> None:
    message = cli.fails("verify", "explained.onnx", "--against", "other.onnx", code=1)
    assert message.startswith("verification failed: source: written for sha256")
