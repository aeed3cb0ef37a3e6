"""A recipe tried out: the worker, the pictures per run, the numbers per map."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from onnx_reciprocam.dataset.batch_size import measure_batch_size, try_out
from onnx_reciprocam.dataset.providers import CPU, offered
from onnx_reciprocam.dataset.recipe import Recipe, sha256
from onnx_reciprocam.dataset.worker import Worker
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.explainers import BlackBoxSession
from onnx_reciprocam.runtime.cores import core_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.dataset.recipe import Prepare, Session


class Opened(NamedTuple):
    """What is needed to explain pictures.

    Args:
        recipe: For other machines to open the same.
        worker: Of this one.
        batch_size: Pictures per run.
        threads: Runs at once: one for each core, where a run keeps to one; black-box methods use all cores in a run.
        cells: Numbers per map column.
        settings: What the rows are made with, source and format left out.
        say: Told in a sentence what a user should know.
    """

    recipe: Recipe
    worker: Worker
    batch_size: int
    threads: int
    cells: int
    settings: dict[str, Any]
    say: Callable[[str], object]

    @property
    def constants(self) -> dict[str, str]:
        """Columns that are the same in every row."""
        return {"model_sha256": self.settings["model_sha256"], "settings": json.dumps(self.settings, sort_keys=True)}


@contextmanager
def opened(
    model: str | os.PathLike[str],
    *,
    class_ids: Sequence[int],
    preprocessing: Preprocessing | Prepare | None,
    labels: Sequence[str],
    providers: Sequence[str],
    batch_size: int | None,
    threads: int | None,
    folder: Path | None,
    tell: Callable[[str], object],
    options: dict[str, Any],
) -> Iterator[Opened]:
    """Open a model with its options, for as long as the work takes; arguments as :func:`~.run.batch`.

    Raises:
        ReciprocamError: The model cannot be read, explained or run, or an option means nothing to it.
    """
    for name, value in (("--batch-size", batch_size), ("--threads", threads)):
        if value is not None and value < 1:
            raise OptionError(name, str(value), ("whole numbers from 1",))
    offered(providers, lambda _sentence: None)  # a wrong name is met before the model is rewritten
    given = Recipe(os.fspath(model), options, tuple(class_ids), preprocessing, tuple(labels), tuple(providers))
    with given.spliced() as recipe:
        several = threads or core_count()
        session = recipe.open(several, tell)
        if callable(preprocessing) and given.prepared(_said(session)) is None:
            tell("No preprocessing in the file or the options: ImageNet's is used.")
        alone = isinstance(session, BlackBoxSession)
        worker = Worker(session, class_ids, folder)
        first = try_out(worker)
        fixed = 1 if alone else session.image.shape[0]
        if batch_size is not None and fixed not in {None, batch_size}:
            raise OptionError("--batch-size", str(batch_size), (f"{fixed}, which is all that this model takes",))
        size = batch_size or fixed or measure_batch_size(worker, several)
        settings = {
            "model": Path(given.model).name,
            "model_sha256": sha256(given.model),
            "method": first.method,
            "options": {name: str(getattr(value, "value", value)) for name, value in options.items()},
            "class_ids": list(class_ids),
            "preprocessing": session.preprocessing.to_json(),
            "labels": len(session.labels),
            "providers": list(providers) or [CPU],
            "batch_size": size,
        }
        settled = replace(recipe, preprocessing=session.preprocessing)
        yield Opened(settled, worker, size, 1 if alone else several, first.saliency[0].size, settings, tell)


def _said(session: Session) -> Preprocessing | None:
    """What the file says of preprocessing; None for a plain one."""
    return None if isinstance(session, BlackBoxSession) else session.contract.preprocessing
