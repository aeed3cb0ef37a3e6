"""Places where nothing can be written, found out before the work or during it."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine

WRITERS = {
    "rewrite": "rewrite plain.onnx -o {}",
    "strip": "strip explained.onnx -o {}",
}
FOLDER_WRITERS = {
    "explain": "explain explained.onnx photo.png -o {}",
    "demo": "demo -o {}",
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize(
    ("out", "words"),
    {
        "other.onnx": "it exists. Replace it with --overwrite",
        "full": "it is a folder; name a file",
        "gone/out.onnx": "no folder 'gone'; make it first",
        "names.txt/out.onnx": "(no folder 'names.txt'|Not a directory)",
        "n" * 300: "File name too long",
    }.items(),
)
def test_a_file_that_cannot_be(cli: CommandLine, command: str, out: str, words: str) -> None:
    message = cli.fails(*WRITERS[command].format(out).split())
    assert re.search(f"^cannot write {out}: {words}", message), message


@pytest.mark.parametrize("command", FOLDER_WRITERS)
@pytest.mark.parametrize(
    ("out", "words"),
    {
        "names.txt": "is a file; name a folder",
        "names.txt/below": "(is a file; name a folder|Not a directory)",
        "n" * 300: "File name too long",
    }.items(),
)
def test_a_folder_that_cannot_be(cli: CommandLine, command: str, out: str, words: str) -> None:
    message = cli.fails(*FOLDER_WRITERS[command].format(out).split())
    assert re.search(f"^cannot write {out}: .*{words}", message), message


@pytest.mark.parametrize("command", [*WRITERS.values(), *FOLDER_WRITERS.values()])
def test_a_folder_without_permission(cli: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    assert re.search("^cannot write new: no permission to write in", cli.fails(*command.format("new").split()))


@pytest.mark.parametrize("command", [*WRITERS.values(), FOLDER_WRITERS["explain"]])
def test_a_full_disk(cli: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """The bytes do not go through; half of them are there by then."""
    write = Path.write_bytes

    def fill(path: Path, data: Any) -> NoReturn:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    (cli.folder / "new").mkdir()
    monkeypatch.setattr(Path, "write_bytes", fill)
    target = "new" if command.startswith("explain") else "new/file.onnx"
    assert re.search("cannot write new.*no space left", cli.fails(*command.format(target).split()), re.IGNORECASE)


def test_pictures_that_are_there_already(cli: CommandLine) -> None:
    (cli.folder / "full" / "photo.explained.png").write_text("mine")
    message = cli.fails("explain", "explained.onnx", "photo.png", "-o", "full")
    assert "photo.explained.png: it exists; add --overwrite" in message


def test_a_demo_that_is_there_already(cli: CommandLine) -> None:
    (cli.folder / "full" / "demo.png").write_text("mine")
    assert "demo.png: it exists. Run the demo again with --overwrite" in cli.fails("demo", "-o", "full")


def test_pictures_of_one_name(cli: CommandLine) -> None:
    message = cli.fails("explain", "explained.onnx", "photo.png", "photo.jpg", "-o", "out")
    assert "both photo.png and photo.jpg would go there" in message
