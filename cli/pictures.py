"""What `explain` does with each picture: run, draw, write, and a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnx_reciprocam import visualise
from onnx_reciprocam.errors import ImageError, ReciprocamError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

from .folders import check_folder, make_folder
from .terminal import say

if TYPE_CHECKING:
    from onnx_reciprocam.explainers import BlackBoxSession
    from onnx_reciprocam.methods import Method
    from onnx_reciprocam.runtime import ExplainedSession, Explanation

    from .inferences import Inferences

    Session: TypeAlias = ExplainedSession | BlackBoxSession

_SHOWN = 3
"""Classes per picture in the table."""


class Job(NamedTuple):
    """A picture and the files that its maps go to, best-scored class first."""

    image: Path
    files: tuple[Path, ...]


def plan(images: Sequence[Path], folder: Path, count: int, ending: str, *, overwrite: bool) -> list[Job]:
    """Settle every file's name, and fail before the first picture rather than after the last.

    Args:
        images: The pictures.
        folder: Where the files go.
        count: Maps per picture.
        ending: What a file's name says of it.
        overwrite: Whether files may be replaced.

    Raises:
        WriteError: A file is in the way, or two pictures would share one.
    """
    check_folder(folder)
    numbers = ["", *(f"-{rank}" for rank in range(2, count + 1))]
    jobs = [Job(image, tuple(folder / f"{image.stem}.{ending}{n}.png" for n in numbers)) for image in images]
    owners: dict[Path, Path] = {}
    for image, files in jobs:
        if (other := owners.setdefault(files[0], image)) != image:
            raise WriteError(str(files[0]), f"both {other} and {image} would go there; explain them one by one")
        if not overwrite and (there := [file for file in files if file.exists()]):
            raise WriteError(str(there[0]), "it exists; add --overwrite to replace it")
    return jobs


def explain_all(session: Session, jobs: Sequence[Job], ids: Sequence[int] | None, progress: Inferences) -> list[str]:
    """Explain every picture, and tell; one that fails does not stop the others.

    Returns:
        Of those that failed, name and reason.
    """
    table = Table("Picture", "Top classes", "Saved as")

    def one(job: Job) -> None:
        result = session.explain_image(job.image, class_ids=ids)
        make_folder(job.files[0].parent)
        files = job.files[: result.saliency.shape[1]]
        saved = [result.save(file, rank=rank).name for rank, file in enumerate(files)]
        table.add_row(Text(job.image.name), _top(result), Text("\n".join(saved)))

    return _each(jobs, one, table, progress)


def compare_all(
    sessions: Sequence[Session], jobs: Sequence[Job], ids: Sequence[int] | None, progress: Inferences
) -> list[str]:
    """Likewise with the maps of every method in one picture, their seconds and inferences below."""
    table = Table("Picture", "Method", "Seconds", "Inferences", "Saved as")

    def one(job: Job) -> None:
        results = [session.explain_image(job.image, class_ids=ids) for session in sessions]
        make_folder(job.files[0].parent)
        files = job.files[: results[0].saliency.shape[1]]
        for rank, file in enumerate(files):
            write_atomically(file, visualise.encode(compared(results, rank), ".png"))
        table.add_row(
            Text(job.image.name),
            Text("\n".join(result.method for result in results)),
            Text("\n".join(f"{result.seconds:,.2f}" for result in results), justify="right"),
            Text("\n".join(f"{result.inferences:,}" for result in results), justify="right"),
            Text("\n".join(file.name for file in files)),
        )

    return _each(jobs, one, table, progress)


def compared(results: Sequence[Explanation], rank: int) -> visualise.Picture:
    """The overlays of several methods side by side, with what each took."""
    from onnx_reciprocam.methods import find

    first = results[0]
    panels = {"picture": first.views[0].picture} | {r.method: r.overlay(rank=rank, alpha=0.7) for r in results}
    notes = {"picture": [f"{p.score:.1%}  {p.label}" for p in first.top(2)]}
    notes |= {r.method: [f"{r.seconds:,.2f} s", _inferences(r, find(r.method))] for r in results}
    class_id = int(first.classes[0, first.ranked()[rank]])
    return visualise.caption(panels, [f"Why {first.label(class_id)}?"], notes)


def _inferences(result: Explanation, method: type[Method]) -> str:
    if result.inferences == 1:
        return f"inferences: {method.inferences}"
    if result.error is None:
        return f"inferences: {result.inferences:,}"
    return f"inferences: {result.inferences:,}, error {f'{result.error:.0%}' if result.error < 1 else 'above 100%'}"


def _each(jobs: Sequence[Job], one: Callable[[Job], object], table: Table, progress: Inferences) -> list[str]:
    failures = [failure for job in progress.track(jobs) if (failure := _tried(job, one, table))]
    Console().print(table)
    say(f"{len(jobs) - len(failures)} of {len(jobs)} explained, in {jobs[0].files[0].parent}")
    return failures


def _tried(job: Job, one: Callable[[Job], object], table: Table) -> str:
    """What went wrong with a picture, or nothing."""
    try:
        one(job)
    except ReciprocamError as error:
        reason = error.reason if isinstance(error, ImageError) else str(error)  # its path stands in the row already
        table.add_row(
            Text(job.image.name), Text(reason, "red"), *[""] * (len(table.columns) - 3), Text("failed", "red")
        )
        return f"{job.image.name}: {reason}"
    return ""


def _top(result: Explanation) -> Text:
    return Text("\n".join(f"{score:6.1%}  {label}" for _, label, score in result.top(_SHOWN)))
