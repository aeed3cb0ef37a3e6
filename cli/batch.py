"""``onnx-reciprocam batch``: whole folders and data sets explained, a row per picture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import onnxruntime
import typer

from onnx_reciprocam.timings import lasting

from . import options as shared
from .folders import check_folder
from .preprocessing import read_labels, read_preprocessing
from .progress import watched
from .terminal import command, fail, say, say_aside

if TYPE_CHECKING:
    from onnx_reciprocam.dataset import Tally

_RUNNING = "How it runs"


def batch(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An explained file, or a plain model.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Folders, globs in quotes, lists (.txt, .csv with a column path), tar shards, .parquet files with an "
            "image column, or URLs of these: s3://, gs://, ...",
        ),
    ],
    *,
    folder: shared.Folder,
    overlays: Annotated[
        bool, typer.Option("--overlays", metavar="", help="Also draw each picture with its best class's map.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Of the rows: parquet, npz or zarr.")
    ] = "parquet",
    class_id: shared.ClassId = None,
    quiet: Annotated[bool, typer.Option("--quiet", metavar="", help="No progress, only the last line.")] = False,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            metavar="N",
            help="Pictures per run of the network.",
            show_default="measured",
            rich_help_panel=_RUNNING,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            help="Runs at once, each on one core.",
            show_default="one per core",
            rich_help_panel=_RUNNING,
        ),
    ] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="Execution provider of onnxruntime such as CUDAExecutionProvider; may be repeated.",
            show_default="the CPU",
            rich_help_panel=_RUNNING,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help="threads of this process, or ray for the machines of a cluster.",
            rich_help_panel=_RUNNING,
        ),
    ] = "threads",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Of the Ray cluster.",
            show_default="the one that is found, else this machine",
            rich_help_panel=_RUNNING,
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
    samples: shared.Samples = None,
    seed: shared.Seed = None,
    size: shared.Size = None,
    crop: shared.Crop = None,
    mean: shared.Mean = None,
    std: shared.Std = None,
    scale: shared.Scale = None,
    color: shared.Color = None,
    layout: shared.Layout = None,
    labels: shared.Labels = None,
) -> None:
    """Explain every picture of a data set: rows with classes, scores and maps, part by part in DIR/rows.

    A picture that cannot be explained is a row with its error. The same call goes on where a run was cut short, and never \
does a part twice; once nothing is left to do there is DIR/finished.json. `report DIR` makes a page of it. A plain model is \
rewritten on the fly, or run many times by a black-box method: --output and the options under Maps and Black-box methods are \
for that.
    """
    from onnx_reciprocam.dataset import batch as run
    from onnx_reciprocam.dataset.places import local_folder

    onnxruntime.set_default_logger_severity(3)
    check_folder(local_folder(folder))
    how = shared.given(
        output=output, target=target, method=method, mask=mask, vit_mask=vit_mask, score=score, classes=classes,
        max_memory=max_memory, samples=samples, seed=seed,
    )  # fmt: skip
    preprocessing = partial(
        read_preprocessing, size=size, crop=crop, mean=mean, std=std, scale=scale, color=color, layout=layout
    )
    with watched(quiet=quiet) as progress:
        tally = run(
            model,
            sources,
            folder,
            form=form,
            overlays=overlays,
            class_ids=class_id or [],
            preprocessing=preprocessing,
            labels=read_labels(labels),
            providers=provider or [],
            batch_size=batch_size,
            threads=threads,
            engine=engine,
            address=address,
            progress=progress,
            tell=say_aside,
            **how,
        )
    _tell(tally)


def _tell(tally: Tally) -> None:
    """How it went, what was not explained, and where to read on."""
    explained, total = tally.done - tally.failed, tally.earlier + tally.done
    if tally.done:
        rate = tally.done / max(tally.seconds, 1e-9)
        say(f"{explained:,} of {tally.done:,} explained in {lasting(tally.seconds)}, {rate:,.1f} pictures per second")
    if not total:
        say("There is no picture in the source")
        return
    if not tally.done:
        say(f"Nothing is left to do: {tally.earlier:,} of {total:,} were there already")
    elif tally.earlier:
        say(f"{tally.earlier:,} of {total:,} were there already")
    if tally.failed:
        path, reason = next(iter(tally.failures.items()))
        say((f"{tally.failed:,} not explained", "red"), f", such as {path}: {reason}; their rows have the reasons")
    say("Look at them: ", (command("report", tally.folder), "bold"))
    if tally.done and not explained:
        fail(f"not one of {tally.done:,} pictures was explained; the reasons are in {tally.folder / 'rows'}")
        raise typer.Exit(1)
