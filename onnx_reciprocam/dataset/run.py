"""A data set explained into a folder, part by part, so that a run that is cut short goes on where it stopped."""

from __future__ import annotations

import json
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.dataset.engines import find_engine
from onnx_reciprocam.dataset.finished import Finished, read_finished, remove_finished, write_finished
from onnx_reciprocam.dataset.formats import find_format
from onnx_reciprocam.dataset.opening import opened
from onnx_reciprocam.dataset.parts import Parts, Work
from onnx_reciprocam.dataset.places import is_url, local_folder
from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.errors import OptionError, ReciprocamError, WriteError
from onnx_reciprocam.result_folder import SETTINGS, locked, read_if_there, settle

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.dataset.opening import Opened
    from onnx_reciprocam.dataset.recipe import Prepare

ROWS_PER_PART = 512
"""What a run that is killed may have to do again."""
_PART_BYTES = 64 << 20
"""Of maps in a part, above which parts have fewer rows."""
_SHOWN = 5
"""Failures that are kept with their reasons."""


@dataclass
class Tally:
    """How far a batch is.

    Args:
        folder: Where all is written.
        total: Pictures in the source, None until they are counted.
        earlier: Those that an earlier run had done.
        done: Those that this one has explained, or failed to.
        failed: Those of ``done`` that failed.
        failures: Path and reason of the first few.
        seconds: Since the first picture was taken up.
    """

    folder: Path
    total: int | None = None
    earlier: int = 0
    done: int = 0
    failed: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    _start: float = field(default_factory=time.perf_counter)

    def add(self, done: int, failures: Mapping[str, str]) -> None:
        """Count so many pictures more, and what went wrong with some."""
        self.done += done
        self.failed += len(failures)
        for path in islice(failures, max(_SHOWN - len(self.failures), 0)):
            self.failures[path] = failures[path]
        self.seconds = time.perf_counter() - self._start


def batch(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    form: str = "parquet",
    overlays: bool = False,
    class_ids: Sequence[int] = (),
    preprocessing: Preprocessing | Prepare | None = None,
    labels: Sequence[str] = (),
    providers: Sequence[str] = (),
    batch_size: int | None = None,
    threads: int | None = None,
    rows_per_part: int | None = None,
    engine: str = "threads",
    address: str | None = None,
    progress: Callable[[Tally], object] = lambda _tally: None,
    tell: Callable[[str], object] = warnings.warn,
    **options: Any,
) -> Tally:
    """Explain every picture of a data set into a folder; the same call goes on where one was cut short.

    Args:
        model: Path of an explained file, or of a plain model.
        source: Folders, globs, lists (.txt, .csv), shards (.tar, .parquet), or URLs of these; one or several.
        folder: Gets ``settings.json``, ``rows/part-*`` with a row per picture, ``overlays/``, and ``finished.json`` once
            no picture is left; read it with :func:`~onnx_reciprocam.dataset.read_rows`.
        form: ``parquet``, ``npz`` or ``zarr``.
        overlays: Draw each picture with the map of its best-scored class.
        class_ids: The classes to explain, for files rewritten with ``--classes input`` and for plain models.
        preprocessing: How pictures become the input; None for what the file says, ImageNet's where it says nothing; or a
            function of what the file says, None where that is nothing.
        labels: Class names in order; none for what the file says.
        providers: onnxruntime's execution providers by name; none for the CPU.
        batch_size: Pictures per run; measured if None. Another size may change the last bits of a map.
        threads: Runs at once; one per core if None.
        rows_per_part: Pictures that are committed together; 512 if None, fewer where maps are large.
        engine: ``threads``, or ``ray`` for many machines.
        address: Of a Ray cluster; None for the one that is found, or one of this machine.
        progress: Told again and again how far the work is.
        tell: Told in a sentence when another method is taken than the default, or another provider than wanted.
        options: For plain models, as :func:`~onnx_reciprocam.explainer` takes them.

    Raises:
        WriteError: The folder holds other results, another run is writing there, or the disk is full.
        SourceError: The source cannot be read.
        ReciprocamError: The model cannot be read, explained or run.
    """
    if rows_per_part is not None and rows_per_part < 1:
        raise OptionError("rows_per_part", str(rows_per_part), ("whole numbers from 1",))
    find_format(form)
    run = find_engine(engine, address)
    results, pictures = local_folder(folder), Source.of(source)
    _check_apart(pictures, results)
    with (
        opened(
            model,
            class_ids=class_ids,
            preprocessing=preprocessing,
            labels=labels,
            providers=providers,
            batch_size=_earlier(results, "batch_size") if batch_size is None else batch_size,
            threads=threads,
            folder=results.absolute() if overlays else None,
            tell=tell,
            options=options,
        ) as ready,
        locked(results, "batch"),
    ):
        parts = Parts(results.absolute(), form, ready.cells, ready.constants)
        done = parts.done()
        size = rows_per_part or _earlier(results, "rows_per_part") or _rows_per_part(ready)
        settings = {"source": list(pictures.places), "format": form, "overlays": overlays, "rows_per_part": size}
        settle(results, ready.settings | settings, "a batch", filled=bool(done))
        if (before := read_finished(results)) is not None and before.parts != len(done):
            remove_finished(results)  # somebody has taken parts away to have them made again
        tally = Tally(results, earlier=parts.count(size))
        _count(pictures, tally)
        run(ready, Work(pictures, size, done, str(results)), parts, partial(_tell, tally, progress))
        write_finished(results, Finished(parts.count(size), len(parts.done())))
        tally.total = tally.earlier + tally.done
        progress(tally)
    return tally


def _tell(tally: Tally, progress: Callable[[Tally], object], done: int, failures: Mapping[str, str]) -> None:
    tally.add(done, failures)
    progress(tally)


def _check_apart(source: Source, folder: Path) -> None:
    """Results within the source would be taken for pictures of it."""
    real = folder.resolve()
    for place in source.places:
        if not is_url(place) and Path(place).is_dir() and real.is_relative_to(Path(place).resolve()):
            raise WriteError(str(folder), f"it lies in the source {place!r}; name a folder outside")


def _earlier(folder: Path, name: str) -> int | None:
    """What an earlier run settled on."""
    try:
        found = json.loads(read_if_there(folder / SETTINGS) or b"{}").get(name)
    except (ValueError, AttributeError):  # settle refuses such a folder
        return None
    return found if isinstance(found, int) else None


def _rows_per_part(ready: Opened) -> int:
    """Whole runs, as far as parts of bounded size allow."""
    most = max(_PART_BYTES // (4 * ready.cells), 1)
    return max(min(ROWS_PER_PART, most) // ready.batch_size, 1) * ready.batch_size


def _count(source: Source, tally: Tally) -> None:
    """In the background: a large source is not listed before the work begins."""

    def count() -> None:
        with suppress(ReciprocamError):  # whoever explains the pictures meets it too, and says so
            tally.total = source.count()

    threading.Thread(target=count, daemon=True, name="count").start()
