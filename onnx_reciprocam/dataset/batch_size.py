"""How many pictures a run takes best: measured, for caches and models differ."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.explainers import BlackBoxSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.dataset.worker import Worker
    from onnx_reciprocam.runtime import Explanation

MOST = 32
_WORTH = 1.03
"""What a larger batch has to gain in speed for the memory it takes."""
_SECONDS = 1.5
"""No larger one is tried once this long has gone."""
_BLACK = np.zeros((64, 64, 3), np.uint8)


def try_out(worker: Worker) -> Explanation:
    """One run on a black picture, which tells the maps' shape.

    Raises:
        InputError: The model does not run on pictures prepared so.
    """
    if isinstance(worker.session, BlackBoxSession):
        return worker.session.explain_image(_BLACK, class_ids=worker.class_ids or None)
    return worker.run(_black(worker, 1))


def measure_batch_size(worker: Worker, threads: int) -> int:
    """The smallest batch whose pictures per second are within a few percent of the best, with all threads at work."""
    begin, best, rate, size = time.perf_counter(), 1, 0.0, 1
    with ThreadPoolExecutor(threads) as pool:
        while size <= MOST and time.perf_counter() - begin < _SECONDS:
            images = [_black(worker, size)] * threads
            times = [_timed(pool, worker, images) for _ in range(3)][1:]  # the first allocates
            found = size * threads / min(times)
            if found > rate * _WORTH:
                best, rate = size, found
            elif found * _WORTH < rate:  # caches are full
                break
            size *= 2
    return best


def _timed(pool: ThreadPoolExecutor, worker: Worker, images: list[NDArray[np.float32]]) -> float:
    start = time.perf_counter()
    list(pool.map(worker.run, images))
    return time.perf_counter() - start


def _black(worker: Worker, count: int) -> NDArray[np.float32]:
    image, _ = worker.session.prepare(_BLACK)
    return np.repeat(image, count, axis=0)
