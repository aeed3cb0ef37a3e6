"""What explains the parts: the threads of this process, or the machines of a Ray cluster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from onnx_reciprocam.dataset.pipeline import explain_parts
from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onnx_reciprocam.dataset.opening import Opened
    from onnx_reciprocam.dataset.parts import Parts, Work
    from onnx_reciprocam.dataset.rows import Row

    TellFn: TypeAlias = Callable[[int, Mapping[str, str]], object]
    """Told how many pictures are done since the last time, and what went wrong with some, by path."""
    Engine: TypeAlias = Callable[[Opened, Work, Parts, TellFn], None]
    """Explains all work and writes its parts."""

ENGINES = ("threads", "ray")


def find_engine(name: str, address: str | None) -> Engine:
    """The engine of that name.

    Args:
        name: One of :data:`ENGINES`.
        address: Of a Ray cluster.

    Raises:
        OptionError: There is none, or it has no address.
        MissingPackageError: Ray is not installed.
    """
    if name == "threads" and address is None:
        return with_threads
    if name == "threads":
        raise OptionError("--address", str(address), ("nothing without --engine ray",))
    if name != "ray":
        raise OptionError("--engine", name, ENGINES)
    from onnx_reciprocam.dataset.ray_engine import with_ray

    return partial(with_ray, address=address)


def with_threads(ready: Opened, work: Work, parts: Parts, tell: TellFn) -> None:
    """Explain with the threads of this process."""
    rows = explain_parts(
        ready.worker, work.parts(), ready.batch_size, ready.threads, lambda found: tell(len(found), failures(found))
    )
    for part, found in rows:
        parts.write(part.index, part.digest, found)


def failures(rows: list[Row]) -> dict[str, str]:
    """What went wrong, by path."""
    return {row["path"]: row["error"] for row in rows if "error" in row}
