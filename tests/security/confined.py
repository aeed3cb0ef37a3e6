"""The command line in a process of its own that may hold only so much memory, and that tells what it tried.

Run as a module, this file is that process: it reads calls from stdin as JSON and answers what became of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ADDRESS_SPACE = 5 << 30
"""Libraries alone reserve more than one."""
HANGS = 240
"""Seconds after which a process counts as stuck."""
FORBIDDEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "pickle.find_class",
    "os.system",
    "subprocess.Popen",
)


class Answer(NamedTuple):
    """What a call came to."""

    code: int
    lines: list[str]
    events: list[str]
    megabytes: float


def confined(calls: Iterable[Sequence[str]], folder: Path) -> list[Answer]:
    """The calls, one after the other, in one limited process whose working folder is ``folder``."""
    done = subprocess.run(
        [sys.executable, __file__], input=json.dumps([list(map(str, call)) for call in calls]), cwd=folder,
        capture_output=True, text=True, check=False, timeout=HANGS, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [Answer(*answer) for answer in json.loads(done.stdout.splitlines()[-1])]


def _main() -> None:
    import resource

    from onnx_reciprocam.cli import run
    from onnx_reciprocam.model_run import own_peak

    events: list[str] = []
    sys.addaudithook(lambda event, _: events.append(event) if event in FORBIDDEN else None)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    answers = []
    for call in json.loads(sys.stdin.read()):
        events.clear()
        code, said = _captured(run, call)
        answers.append(Answer(code, said, list(events), own_peak() or 0))
    sys.stdout.write(f"{json.dumps(answers)}\n")


def _captured(run: object, call: list[str]) -> tuple[int, list[str]]:
    """The exit code, and the lines on the file descriptor of stderr, where C++ writes too."""
    assert callable(run)
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            code = run(call)
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
        file.seek(0)
        return code, file.read().decode("utf-8", "replace").splitlines()


if __name__ == "__main__":
    _main()
