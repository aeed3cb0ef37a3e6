"""``onnx-reciprocam explain``: pictures in, pictures with their reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import onnxruntime
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.contract import ClassChoice
from onnx_reciprocam.errors import ImageError, NotRewrittenError, OptionError, ReciprocamError, WriteError
from onnx_reciprocam.runtime import ExplainedSession, Explanation

from .preprocessing import (
    ColorOption,
    CropOption,
    LabelsOption,
    LayoutOption,
    MeanOption,
    ScaleOption,
    SizeOption,
    StdOption,
    read_labels,
    read_preprocessing,
)

_PLAIN = "For a plain model, which is rewritten on the fly"
_SHOWN = 3
"""Classes per picture in the table."""
_ERRORS_ONLY = 3
"""onnxruntime's log severity: its warnings on a file's spare weights help nobody here."""


class Job(NamedTuple):
    """A picture and the files that its maps go to, best-scored class first."""

    image: Path
    files: tuple[Path, ...]


def explain(
    model: Annotated[Path, typer.Argument(help="An explained file, or a plain model.", metavar="MODEL")],
    images: Annotated[list[Path], typer.Argument(help="JPEG, PNG or WebP pictures.", metavar="IMAGE")],
    *,
    folder: Annotated[Path, typer.Option("--output-dir", "-o", metavar="DIR", help="Where the pictures go.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures that are there already.")] = False,
    class_id: Annotated[
        list[int] | None, typer.Option("--class-id", metavar="N", help="Explain this class; may be repeated.")
    ] = None,
    target: Annotated[str | None, typer.Option(metavar="NAME", help="Node or tensor.", rich_help_panel=_PLAIN)] = None,
    mask: Annotated[
        str | None, typer.Option(metavar="MASK", help="pixel, gaussian or replicated.", rich_help_panel=_PLAIN)
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="SCORE", help="logit or probability.", rich_help_panel=_PLAIN)
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="WHICH", help="predicted, all or top:K.", rich_help_panel=_PLAIN)
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="The scores, among several outputs.", rich_help_panel=_PLAIN)
    ] = None,
    size: SizeOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    color: ColorOption = None,
    layout: LayoutOption = None,
    labels: LabelsOption = None,
) -> None:
    """Draw why: for every picture its map, overlay and top classes in one PNG."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    ids = class_id or []
    rewriting = {"target": target, "mask": mask, "score": score, "classes": classes, "output": output}
    prepared = {
        "size": size, "crop": crop, "mean": mean, "std": std, "scale": scale, "color": color, "layout": layout,
    }  # fmt: skip
    explained = _open(model, {name: value for name, value in rewriting.items() if value is not None}, ids, prepared)
    preprocessing = read_preprocessing(explained.contract.preprocessing, **prepared)
    names = read_labels(labels) or explained.labels
    session = ExplainedSession(explained.session, preprocessing=preprocessing, labels=names)
    jobs = _plan(images, folder, _map_count(session, ids), overwrite=overwrite)
    if preprocessing is None:
        Console(stderr=True, soft_wrap=True).print("No preprocessing in the file or the options: ImageNet's is used.")
    if not _explain_all(session, jobs, ids or None):
        raise typer.Exit(ReciprocamError.exit_code)


def _open(
    model: Path, rewriting: dict[str, Any], ids: Sequence[int], prepared: dict[str, str | None]
) -> ExplainedSession:
    """An explained file as it is; a plain model rewritten as ``rewriting`` says."""
    try:
        session = ExplainedSession(model)
    except NotRewrittenError:
        return _rewrite(model, {"classes": "input"} | rewriting if ids else rewriting, prepared)
    for name, value in rewriting.items():
        raise OptionError(f"--{name}", value, ("a plain model, and this file is explained already",))
    return session


def _rewrite(model: Path, rewriting: dict[str, Any], prepared: dict[str, str | None]) -> ExplainedSession:
    """Through a file, for a model in memory ends at 2 GB."""
    from onnx_reciprocam.rewriter import rewrite

    with TemporaryDirectory() as temporary:
        explained = Path(temporary) / model.name
        rewrite(model, explained, preprocessing=read_preprocessing(None, **prepared), **rewriting)
        return ExplainedSession(explained)


def _map_count(session: ExplainedSession, ids: Sequence[int]) -> int:
    """Maps drawn per picture."""
    choice = ClassChoice.parse(session.contract.classes)
    if choice.kind == "input" and not ids:
        raise OptionError("--class-id", "nothing", ("a class number: this file explains the classes it is told",))
    if choice.kind != "input" and ids:
        raise OptionError("--class-id", str(ids[0]), (f"nothing: this file explains classes {str(choice)!r}",))
    return len(ids) or (choice.count if choice.kind == "top" and choice.count else 1)


def _plan(images: Sequence[Path], folder: Path, count: int, *, overwrite: bool) -> list[Job]:
    """Settle every file's name, and fail before the first picture rather than after the last."""
    numbers = ["", *(f"-{rank}" for rank in range(2, count + 1))]
    jobs = [Job(image, tuple(folder / f"{image.stem}.explained{n}.png" for n in numbers)) for image in images]
    owners: dict[Path, Path] = {}
    for image, files in jobs:
        if (other := owners.setdefault(files[0], image)) != image:
            raise WriteError(str(files[0]), f"both {other} and {image} would go there; explain them one by one")
        if not overwrite and (there := [file for file in files if file.exists()]):
            raise WriteError(str(there[0]), "it exists; add --overwrite to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(str(folder), (error.strerror or str(error)).lower()) from error
    return jobs


def _explain_all(session: ExplainedSession, jobs: Sequence[Job], ids: Sequence[int] | None) -> bool:
    """Explain every picture, and tell; one that fails does not stop the others.

    Returns:
        Whether all of them were explained.
    """
    table = Table("Picture", "Top classes", "Saved as")
    progress = track(jobs, "Explaining", transient=True, console=Console(stderr=True), disable=len(jobs) == 1)
    done = [_explain_one(session, job, ids, table) for job in progress]
    console = Console()
    console.print(table)
    console.print(f"{sum(done)} of {len(done)} explained, in {jobs[0].files[0].parent}", soft_wrap=True)
    return all(done)


def _explain_one(session: ExplainedSession, job: Job, ids: Sequence[int] | None, table: Table) -> bool:
    """Write a picture's files and its row of the table; whether that went well."""
    name = Text(job.image.name)
    try:
        result = session.explain_image(job.image, class_ids=ids)
        files = job.files[: result.saliency.shape[1]]
        saved = [result.save(file, rank=rank).name for rank, file in enumerate(files)]
    except ReciprocamError as error:
        table.add_row(name, Text(_reason(error), "red"), Text("failed", "red"))
        return False
    table.add_row(name, _top(result), Text("\n".join(saved)))
    return True


def _reason(error: ReciprocamError) -> str:
    """Without the picture's path, which stands in the row already."""
    return error.reason if isinstance(error, ImageError) else str(error)


def _top(result: Explanation) -> Text:
    return Text("\n".join(f"{score:6.1%}  {label}" for _, label, score in result.top(_SHOWN)))
