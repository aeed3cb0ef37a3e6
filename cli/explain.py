"""``onnx-reciprocam explain``: pictures in, pictures with their reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
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

from . import options as shared
from .folders import check_folder, make_folder
from .preprocessing import read_labels, read_preprocessing
from .terminal import fail, say

_SHOWN = 3
"""Classes per picture in the table."""
_ERRORS_ONLY = 3
"""onnxruntime's log severity: its warnings on a file's spare weights help nobody here."""


class Job(NamedTuple):
    """A picture and the files that its maps go to, best-scored class first."""

    image: Path
    files: tuple[Path, ...]


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An explained file, or a plain model.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="JPEG, PNG or WebP pictures.")],
    *,
    folder: shared.Folder,
    overwrite: shared.Overwrite = False,
    class_id: Annotated[
        list[int] | None,
        typer.Option(
            "--class-id",
            metavar="N",
            min=0,
            help="Explain class N; may be repeated. For plain models, and files rewritten with --classes input.",
        ),
    ] = None,
    output: shared.Output = None,
    target: shared.Target = None,
    method: shared.Method = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
    classes: shared.Classes = None,
    max_memory: shared.MaxMemory = None,
    size: shared.Size = None,
    crop: shared.Crop = None,
    mean: shared.Mean = None,
    std: shared.Std = None,
    scale: shared.Scale = None,
    color: shared.Color = None,
    layout: shared.Layout = None,
    labels: shared.Labels = None,
) -> None:
    """Draw why: for every picture its map, overlay and top classes in one PNG.

    A plain model is rewritten on the fly: --output and the options under Maps are for that. An explained file has \
settled them.
    """
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    ids = class_id or []
    rewriting = shared.given(
        output=output, target=target, method=method, mask=mask, vit_mask=vit_mask, score=score, classes=classes,
        max_memory=max_memory,
    )  # fmt: skip
    prepared = {
        "size": size, "crop": crop, "mean": mean, "std": std, "scale": scale, "color": color, "layout": layout,
    }  # fmt: skip
    explained = _open(model, rewriting, ids, prepared)
    preprocessing = read_preprocessing(explained.contract.preprocessing, **prepared)
    names = read_labels(labels) or explained.labels
    session = ExplainedSession(explained.session, preprocessing=preprocessing, labels=names)
    jobs = _plan(images, folder, _map_count(session, ids), overwrite=overwrite)
    if preprocessing is None:
        Console(stderr=True, soft_wrap=True).print("No preprocessing in the file or the options: ImageNet's is used.")
    if failures := _explain_all(session, jobs, ids or None):
        fail(f"{len(failures)} of {len(jobs)} pictures not explained; {failures[0]}")
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
        word = value.value if isinstance(value, Enum) else value
        raise OptionError(
            f"--{name.replace('_', '-')}", str(word), ("a plain model, and this file is explained already",)
        )
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
    if session.class_count is not None and max(ids, default=0) >= session.class_count:
        raise OptionError("--class-id", str(max(ids)), (f"a class number from 0 to {session.class_count - 1}",))
    if choice.kind != "input" and ids:
        raise OptionError("--class-id", str(ids[0]), (f"nothing: this file explains classes {str(choice)!r}",))
    return len(ids) or (choice.count if choice.kind == "top" and choice.count else 1)


def _plan(images: Sequence[Path], folder: Path, count: int, *, overwrite: bool) -> list[Job]:
    """Settle every file's name, and fail before the first picture rather than after the last."""
    check_folder(folder)
    numbers = ["", *(f"-{rank}" for rank in range(2, count + 1))]
    jobs = [Job(image, tuple(folder / f"{image.stem}.explained{n}.png" for n in numbers)) for image in images]
    owners: dict[Path, Path] = {}
    for image, files in jobs:
        if (other := owners.setdefault(files[0], image)) != image:
            raise WriteError(str(files[0]), f"both {other} and {image} would go there; explain them one by one")
        if not overwrite and (there := [file for file in files if file.exists()]):
            raise WriteError(str(there[0]), "it exists; add --overwrite to replace it")
    return jobs


def _explain_all(session: ExplainedSession, jobs: Sequence[Job], ids: Sequence[int] | None) -> list[str]:
    """Explain every picture, and tell; one that fails does not stop the others.

    Returns:
        Of those that failed, name and reason.
    """
    table = Table("Picture", "Top classes", "Saved as")
    progress = track(jobs, "Explaining", transient=True, console=Console(stderr=True), disable=len(jobs) == 1)
    failures = [failure for job in progress if (failure := _explain_one(session, job, ids, table))]
    Console().print(table)
    say(f"{len(jobs) - len(failures)} of {len(jobs)} explained, in {jobs[0].files[0].parent}")
    return failures


def _explain_one(session: ExplainedSession, job: Job, ids: Sequence[int] | None, table: Table) -> str:
    """Write a picture's files and its row of the table; what went wrong, or nothing."""
    name = Text(job.image.name)
    try:
        result = session.explain_image(job.image, class_ids=ids)
        make_folder(job.files[0].parent)
        files = job.files[: result.saliency.shape[1]]
        saved = [result.save(file, rank=rank).name for rank, file in enumerate(files)]
    except ReciprocamError as error:
        table.add_row(name, Text(_reason(error), "red"), Text("failed", "red"))
        return f"{job.image.name}: {_reason(error)}"
    table.add_row(name, _top(result), Text("\n".join(saved)))
    return ""


def _reason(error: ReciprocamError) -> str:
    """Without the picture's path, which stands in the row already."""
    return error.reason if isinstance(error, ImageError) else str(error)


def _top(result: Explanation) -> Text:
    return Text("\n".join(f"{score:6.1%}  {label}" for _, label, score in result.top(_SHOWN)))
