"""Runs that are cut short, and runs that meet at one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import onnx
import pytest
from command_line import NOISE

from onnx_reciprocam.runtime import ExplainedSession

if TYPE_CHECKING:
    from pathlib import Path

    from command_line import CommandLine

PROGRAM = [sys.executable, "-c", "from onnx_reciprocam.cli import main; main()"]
PAUSING = """
import os, sys, time
from pathlib import Path
write = Path.write_bytes
def pause(path, data):
    write(path, data[:len(data) // 2])
    print("writing", flush=True)
    time.sleep(60)
Path.write_bytes = pause
from onnx_reciprocam.cli import main
main()
"""
CALLS = {
    "rewrite": "rewrite plain.onnx -o new/out.onnx",
    "strip": "strip explained.onnx -o new/out.onnx",
    "explain": "explain explained.onnx photo.png -o new",
}


def start(program: list[str], call: str, folder: os.PathLike[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "TMPDIR": os.fspath(folder)}
    return subprocess.Popen(
        [*program, *call.split()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_interrupt_in_the_middle_of_a_file(cli: CommandLine, call: str) -> None:
    (cli.folder / "new").mkdir()
    before = cli.files()
    with start([sys.executable, "-c", PAUSING], call, cli.folder) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "writing\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.splitlines()[-1]) == (130, "error: interrupted; nothing half-written is left.")
    assert "Traceback" not in err
    assert cli.files() == before


SLOW = """
import sys, time
import onnx_reciprocam.cli as cli
def work(_arguments):
    try:
        print("working", flush=True)
        time.sleep(60)
    finally:
        print("waiting", flush=True)
        time.sleep(60)
cli.run = work
cli.main()
"""


def test_a_second_interrupt_leaves_at_once(tmp_path: Path) -> None:
    with start([sys.executable, "-c", SLOW], "", tmp_path) as process:
        assert process.stdout is not None
        for words in ("working\n", "waiting\n"):
            assert process.stdout.readline() == words
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_two_rewrites_of_one_file(cli: CommandLine) -> None:
    processes = [start(PROGRAM, "rewrite plain.onnx -o out.onnx --overwrite", cli.folder) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    onnx.checker.check_model("out.onnx")
    assert ExplainedSession("out.onnx").contract.target == "features"
    assert not [name for name in cli.files() if name.startswith(".")]


def test_a_reader_that_leaves(cli: CommandLine) -> None:
    """As in ``onnx-reciprocam inspect MODEL | head -1``."""
    with start(PROGRAM, "inspect plain.onnx", cli.folder) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert not [word for word in NOISE if word in err]
    assert len(err.splitlines()) <= 1
