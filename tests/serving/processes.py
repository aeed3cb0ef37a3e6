"""Processes of a service, as Linux shows them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

_PATIENCE = 60.0


def below(pid: int) -> set[int]:
    """All that a process has started, and what these have started; the process itself not."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found |= {int(child) for child in (task / "children").read_text().split()}
    return found.union(*(below(child) for child in found if runs(child)))


def runs(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pids: set[int]) -> None:
    give_up = time.monotonic() + _PATIENCE
    while left := {pid for pid in pids if runs(pid)}:
        assert time.monotonic() < give_up, f"{left} go on"
        time.sleep(0.05)
