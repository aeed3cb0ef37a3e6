"""Parts explained by the machines of a Ray cluster: Ray Data hands them out, each actor holds one session."""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.dataset.engines import failures
from onnx_reciprocam.dataset.pipeline import lots_of
from onnx_reciprocam.dataset.places import why
from onnx_reciprocam.dataset.providers import GPUS
from onnx_reciprocam.dataset.rows import arrow
from onnx_reciprocam.dataset.worker import Worker
from onnx_reciprocam.errors import ClusterError, MissingPackageError, ReciprocamError
from onnx_reciprocam.result_folder import SETTINGS
from onnx_reciprocam.runtime.opening import external_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.dataset.engines import TellFn
    from onnx_reciprocam.dataset.opening import Opened
    from onnx_reciprocam.dataset.parts import Part, Parts, Work
    from onnx_reciprocam.dataset.recipe import Recipe

_SECONDS = 5.0
"""That a cluster has to answer within."""
_LISTING_CPUS = 0
"""Of the one task that lists the source: a cluster may have no more cores than explain."""


def with_ray(ready: Opened, work: Work, parts: Parts, tell: TellFn, address: str | None) -> None:
    """Explain with a cluster whose machines all see the folder of the results, and local sources, at the same path.

    A worker that is lost takes with it the part that it was at, which another begins again. A part is written as a whole
    under a name that is its own, so nothing is there twice.

    Args:
        ready: What explains.
        work: What.
        parts: Where it goes.
        tell: Told after each part.
        address: Of the cluster; None for the one that is found, or one of this machine.

    Raises:
        MissingPackageError: Ray is not installed.
        ClusterError: There is no cluster at the address, or its workers are lost again and again.
        ReciprocamError: Whatever stopped a worker.
    """
    ray = _ray()
    with _connected(ray, address), _one_part_at_a_time(ray):
        listed = ray.data.read_datasource(_listing(ray, work), num_cpus=_LISTING_CPUS, override_num_blocks=1)
        counts = listed.map_batches(
            _Explainer,
            fn_constructor_args=(_order(ray, ready, parts),),
            batch_size=1,
            batch_format="pyarrow",
            **_actors(ray, ready),
        )
        said: set[str] = set()
        try:
            for row in counts.iter_rows():
                for sentence in {*json.loads(row["said"])} - said:
                    ready.say(sentence)
                    said.add(sentence)
                tell(row["done"], json.loads(row["failures"]))
        except Exception as error:  # Ray wraps a worker's errors in several of its own kinds
            raise _told(error) from error


def _actors(ray: Any, ready: Opened) -> dict[str, Any]:
    """One for each GPU of the cluster, if the provider wants one, or else for each core."""
    there = ray.cluster_resources()
    wants = not GPUS.isdisjoint(ready.recipe.providers)
    gpus = int(there.get("GPU", 0)) if wants else 0
    if wants and not gpus:
        ready.say("no machine of the Ray cluster has a GPU; its cores explain")
    actors = gpus or max(int(there.get("CPU", 1)), 1)
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=actors, max_tasks_in_flight_per_actor=2)
    return {"compute": pool, "num_gpus": 1 if gpus else None, "num_cpus": None if gpus else 1}


@dataclass(frozen=True)
class _Order:
    """What an explainer is made of.

    Args:
        recipe: Of its session.
        model: Where Ray holds the model's bytes; None where it has further files, and every machine has to see its path.
        parts: Where rows go.
        settings: Those of the results, to see that their folder is the same one there.
        place: The folder that relative paths are meant from.
        draws: Whether overlays are wanted.
        batch_size: Pictures per run.
    """

    recipe: Recipe
    model: Any
    parts: Parts
    settings: bytes
    place: str
    draws: bool
    batch_size: int


def _order(ray: Any, ready: Opened, parts: Parts) -> _Order:
    path = Path(ready.recipe.model).absolute()
    return _Order(
        replace(ready.recipe, model=str(path)),
        None if external_files(path) else ray.put(path.read_bytes()),
        parts,
        (parts.folder.parent / SETTINGS).read_bytes(),
        str(Path.cwd()),
        ready.worker.draws,
        ready.batch_size,
    )


class _Explainer:
    """Explains whole parts on one core or GPU.

    Args:
        order: What it is made of.

    Raises:
        ClusterError: This machine does not see the folder of the results.
        ReciprocamError: The model cannot be opened here.
    """

    def __init__(self, order: _Order) -> None:
        self._order = order
        folder = order.parts.folder.parent
        _enter(order.place)
        if not _holds(folder / SETTINGS, order.settings):
            reason = (
                f"machine {os.uname().nodename} does not see {str(folder)!r}; mount the same folder on every machine"
            )
            raise ClusterError(reason)
        recipe = order.recipe
        self._said: list[str] = []
        if order.model is None:
            session = recipe.open(tell=self._said.append)
        else:
            with NamedTemporaryFile(suffix=".onnx") as file:
                file.write(_ray().get(order.model))
                file.flush()
                session = replace(recipe, model=file.name).open(tell=self._said.append)
        self._worker = Worker(session, recipe.class_ids, folder if order.draws else None)

    def __call__(self, table: Any) -> Any:
        """A table of one part as one of what became of it."""
        (packed,) = table.column("part").to_pylist()
        part: Part = pickle.loads(packed)  # noqa: S301 - packed by _listing
        rows = [row for lot in lots_of(part, self._order.batch_size) for row in self._worker.explain(lot)]
        self._order.parts.write(part.index, part.digest, rows)
        told = {"failures": failures(rows), "said": self._said}
        return arrow().table({"done": [len(rows)], **{name: [json.dumps(each)] for name, each in told.items()}})


def _listing(ray: Any, work: Work) -> Any:
    """The parts that are left as a source of Ray Data, listed by one task as they are asked for."""
    place = str(Path.cwd())

    def tables() -> Iterator[Any]:
        _enter(place)
        for part in work.parts():
            yield arrow().table({"part": [pickle.dumps(part)]})

    class Listing(ray.data.Datasource):  # type: ignore[misc]
        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
            return [ray.data.ReadTask(tables, ray.data.block.BlockMetadata(None, None, None))]

        def estimate_inmemory_data_size(self) -> int | None:
            return None

    return Listing()


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """In a cluster: the one that this process is in, the one at the address, or one of this machine."""
    if ray.is_initialized():
        yield
        return
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f"none at {address!r}: {_first_line(error)}") from error
    try:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _one_part_at_a_time(ray: Any) -> Iterator[None]:
    """Each part a block of its own: Ray gathers small ones, up to 128 MB, and a block is never shared by actors."""
    context = ray.data.DataContext.get_current()
    before = context.target_max_block_size, context.enable_progress_bars
    context.target_max_block_size, context.enable_progress_bars = 1, False
    try:
        yield
    finally:
        context.target_max_block_size, context.enable_progress_bars = before


def _knock(address: str | None) -> None:
    """See that something listens at ``HOST:PORT``: Ray itself waits for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise ClusterError(f"none at {address!r}: {why(error)}") from error


def _told(error: BaseException) -> ReciprocamError:
    """Our own error inside of Ray's, or what Ray says."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ReciprocamError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    return ClusterError(_first_line(error))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def _enter(place: str) -> None:
    if Path(place).is_dir():
        os.chdir(place)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingPackageError("ray", "ray") from None
    return ray
