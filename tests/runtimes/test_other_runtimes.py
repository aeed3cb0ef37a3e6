"""Explained files give the same predictions and maps in other runtimes, or fail there as ``limits.py`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import runtimes
from comparison import NODE, PYTHON, RUNTIMES, check
from explained_files import LARGE_FILES, TINY_FILES, ExplainedFile
from limits import LIMITS
from outcomes import TOLERANCE, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from explained_files import Feeds
    from numpy.typing import NDArray
    from runtimes import Outputs


@pytest.fixture(scope="module", autouse=True)
def _processes_end() -> Iterator[None]:
    yield
    for runtime in NODE.values():
        runtime.close()
    runtimes.end_opencv()


@pytest.mark.parametrize("file", TINY_FILES, ids=str)
@pytest.mark.parametrize("runtime", PYTHON)
def test_tiny_files(runtime: str, file: ExplainedFile) -> None:
    check(runtime, file)


@pytest.mark.slow
@pytest.mark.parametrize("file", LARGE_FILES, ids=str)
@pytest.mark.parametrize("runtime", PYTHON)
def test_large_files(runtime: str, file: ExplainedFile) -> None:
    check(runtime, file)


@pytest.mark.outside
@pytest.mark.parametrize("file", [*TINY_FILES, *LARGE_FILES], ids=str)
@pytest.mark.parametrize("runtime", NODE)
def test_files_in_node(runtime: str, file: ExplainedFile) -> None:
    check(runtime, file)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: f"{limit.runtime}: {limit.files}")
def test_every_limit_covers_a_file(limit: Any) -> None:
    assert limit.runtime in RUNTIMES
    assert any(limit.covers(limit.runtime, file) for file in (*TINY_FILES, *LARGE_FILES))


# what the comparison notices ----------------------------------------------------------------------------------------


def with_first(value: NDArray[Any], more: float) -> NDArray[Any]:
    changed = value.copy()
    changed.flat[0] += more
    return changed


CHANGES: dict[str, tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "one cell": ("saliency", lambda value: with_first(value, 4 * TOLERANCE * np.ptp(value[0, 0]))),
    "a score": ("scores", lambda value: with_first(value, 4 * TOLERANCE * np.ptp(value))),
    "a class": ("saliency_classes", lambda value: with_first(value, 1)),
    "not a number": ("saliency", lambda value: value * np.nan),
    "no maps": ("saliency", lambda value: value[:, :0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_runtime_that_answers_otherwise_is_noticed(change: str) -> None:
    name, altered = CHANGES[change]

    def runtime(model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs:
        answer = runtimes.onnxruntime(model, feeds, outputs, written=written)
        return {**answer, name: altered(answer[name])}

    file = ExplainedFile("CNN", "predicted")
    assert judge(runtimes.onnxruntime, file).fine
    assert not judge(runtime, file).fine
