"""``onnx-reciprocam evaluate``: which method explains this network best on these pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import onnxruntime
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.errors import OptionError

from . import options as shared
from .folders import check_folder
from .preprocessing import read_labels, read_preprocessing
from .terminal import say, say_aside

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation import Evaluation, Line, Protocol

_MEASURED = "Measurement"


def evaluate(
    model: shared.Model,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of pictures, a folder per class, a CSV (path, label, box, mask), a COCO or VOC annotation file.",
        ),
    ],
    *,
    folder: shared.Folder,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            metavar="METHOD,METHOD",
            help="Which to compare; `onnx-reciprocam methods` lists all.",
            show_default="those that take one run",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="COCO file or folder of VOC files, where SOURCE is the pictures alone."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only so many pictures, evenly spread.", show_default="all")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Figures for programs.")] = False,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="default, or paper: the authors' script (256x256, labels explained, replicated masks on probabilities).",
            rich_help_panel=_MEASURED,
        ),
    ] = "default",
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="NAME,NAME",
            help="drop, increase, coherency, complexity, adcc, deletion, insertion, pointing, energy.",
            show_default="all",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    explained: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="CLASS",
            help="The class predicted for a picture (predicted), or the one that the data set names (label).",
            show_default="predicted",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            help="Groups of pixels that deletion and insertion take or give at a time.",
            show_default="224",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="PIXELS",
            help="How far from the object a point still counts; 15 in the pointing game's paper.",
            show_default="0",
            rich_help_panel=_MEASURED,
        ),
    ] = None,
    output: shared.Output = None,
    target: shared.Target = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
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
    """Measure which method explains MODEL best on the pictures of SOURCE.

    Rows are written as they come: a run that was cut short goes on where it stopped. DIR ends up with images.parquet \
(a row per picture and method), summary.csv and report.html.
    """
    from onnx_reciprocam.evaluation import METHODS
    from onnx_reciprocam.evaluation import evaluate as run

    onnxruntime.set_default_logger_severity(3)
    check_folder(folder)
    chosen = _protocol(protocol, metrics, explained, steps, tolerance)
    preprocessing = read_preprocessing(
        None, size=size, crop=crop, mean=mean, std=std, scale=scale, color=color, layout=layout
    )
    if preprocessing is None:
        say_aside("No preprocessing in the options: ImageNet's is used.")
    how = shared.given(target=target, mask=mask, vit_mask=vit_mask, score=score, samples=samples, seed=seed)
    with _bar() as progress:
        found = run(
            model,
            source,
            folder,
            methods=tuple(dict.fromkeys(methods.split(","))) if methods else METHODS,
            protocol=chosen,
            annotations=annotations,
            labels=read_labels(labels),
            limit=limit,
            preprocessing=preprocessing,
            output=output,
            progress=progress,
            **how,
        )
    if as_json:
        from onnx_reciprocam.evaluation import to_rows

        typer.echo(json.dumps(to_rows(found.lines), indent=2))
        return
    _show(found, chosen)


def _protocol(
    name: str, metrics: str | None, explained: str | None, steps: int | None, tolerance: float | None
) -> Protocol:
    """The protocol of that name with what the options say otherwise."""
    from onnx_reciprocam.evaluation import PROTOCOLS

    if name not in PROTOCOLS:
        raise OptionError("--protocol", name, tuple(PROTOCOLS))
    changes: dict[str, Any] = shared.given(explained=explained, steps=steps, tolerance=tolerance)
    if metrics is not None:
        changes["metrics"] = tuple(dict.fromkeys(part.strip() for part in metrics.split(",")))
    return replace(PROTOCOLS[name], **changes)


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar on stderr where there is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("Reading", total=None)
        yield lambda done, total, what: bars.update(task, completed=done, total=total, description=what or "Done")


def _show(found: Evaluation, protocol: Protocol) -> None:
    from onnx_reciprocam.evaluation import HIGHER, METRICS, best

    names = [name for name in protocol.metrics if any(name in line.figures for line in found.lines)]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    for name in names:
        table.add_column(f"{METRICS[name]}{'↑' if name in HIGHER else '↓'}", justify="right")
    table.add_column("s", justify="right")
    winners = {name: best(found.lines, name) for name in names}
    for line in found.lines:
        table.add_row(line.method, *(_cell(line, name, winners[name]) for name in names), f"{line.seconds:.2g}")
    Console().print(table)
    say("Percent; below it the 95% bootstrap interval. The best is bold; s: seconds of one explanation.")
    pictures = len({row["sample"] for row in found.rows})
    if found.failures:
        path, reason = next(iter(found.failures.items()))
        say((f"{len(found.failures)} of {pictures} pictures not explained", "red"), f"; {path}: {reason}")
    say(f"{pictures} pictures; page to look at: ", (str(found.folder / "report.html"), "bold"))


def _cell(line: Line, name: str, winners: Sequence[str] | set[str]) -> Text:
    figure = line.figures.get(name)
    if figure is None:
        return Text("-")
    value = Text(f"{100 * figure.value:.1f}", "bold" if line.method in winners else "")
    return Text.assemble(value, Text(f"\n{100 * figure.low:.0f}-{100 * figure.high:.0f}", "dim"))
