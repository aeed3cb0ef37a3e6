"""A worker's side of the pipe: prepare one contestant, then run it once for every line that comes in.

Imports nothing but numpy, so that it runs in every peer's environment and hardly anything but the peer takes memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

IMAGE = (3, 224, 224)
"""Channels, height and width of what every network is fed."""


def noise(images: int) -> NDArray[np.float32]:
    """Standard normal noise from a fixed seed, ``[images, 3, 224, 224]``: what onnx_reciprocam's own benchmark feeds."""
    return np.random.default_rng(0).standard_normal((images, *IMAGE)).astype(np.float32)


def serve(prepare: Callable[[dict[str, Any]], Callable[[], object]]) -> None:
    """Answer every line on stdin with the milliseconds of one run, as one line of JSON.

    The first answer comes unasked, once the contestant is ready: ``failed`` says why it is not, or nothing.

    Args:
        prepare: From the task, which the command line holds as JSON, to what is run. The task's ``unmeasured`` is how
            often it is run before it counts as ready.
    """
    answer = _channel()
    task = json.loads(sys.argv[1])
    try:
        run = prepare(task)
        for _ in range(task["unmeasured"]):
            run()
    except Exception as error:  # noqa: BLE001 - that a peer fails, and why, is a result
        answer(failed=reason(error))
        return
    answer(failed="")
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        answer(ms=(time.perf_counter() - start) * 1000)


def answer_once(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Do the task of the command line, and answer what came of it in one line of JSON."""
    answer = _channel()
    answer(**work(json.loads(sys.argv[1])))


def reason(error: Exception) -> str:
    """The last line of what it says: the cause, behind the places that it came through."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def _channel() -> Callable[..., None]:
    """Stdout for answers alone; whatever else is printed goes to stderr from now on."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**facts: object) -> None:
        print(json.dumps(facts), file=lines, flush=True)

    return answer
