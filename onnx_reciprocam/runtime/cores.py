"""How many threads are worth having."""

from __future__ import annotations

import os


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # a container may be given fewer than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
