"""``onnx-reciprocam evaluate``: which method explains this network best on these pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import onnxruntime
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.timings import lasting

from . import options as shared
from .bars import bar
from .folders import check_folder
from .preprocessing import read_labels, read_preprocessing
from .terminal import fail, say, say_aside

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation import Evaluation, Line, Protocol

_MEASURED = "Measurement"


def evaluate(
    model: shared.Model,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of pictures, a folder per class, a CSV (path, label, box, mask), or COCO's or VOC's "
            "annotations.",
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
            show_default="six that take one run",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="CSV, COCO file or folder of VOC files, where SOURCE is the pictures alone."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only so many pictures, evenly spread.", show_default="all")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print the figures of summary.csv as JSON.")
    ] = False,
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="default, or paper: the authors' script (stretched to 256x256, labels explained, replicated masks on "
            "probabilities).",
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
            help="How far from the object a map's largest value still counts; 15 in the pointing game's paper.",
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

    DIR ends up with report.html to look at, summary.csv (a row per method and metric) and images.parquet (a row per \
picture and method). The same call goes on where a run was cut short; further methods and pictures join those there.
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
    chosen_methods = METHODS if methods is None else tuple(dict.fromkeys(map(str.strip, methods.split(","))))
    how = shared.given(target=target, mask=mask, vit_mask=vit_mask, score=score, samples=samples, seed=seed)
    with bar() as progress:
        found = run(
            model,
            source,
            folder,
            methods=chosen_methods,
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
    elif any(line.figures for line in found.lines):
        _show(found, chosen)
    if not any(line.figures for line in found.lines):
        fail(_why_nothing(found))
        raise typer.Exit(1)


def _why_nothing(found: Evaluation) -> str:
    """There are no figures."""
    from onnx_reciprocam.evaluation.summary import UNPOINTED

    if not found.failures:
        return f"nothing was measured: {UNPOINTED}; try --explain label."
    path, reason = next(iter(found.failures.items()))
    page = found.folder / "report.html"
    return f"no picture was explained by every method, such as {path}: {reason.rstrip('.')}; all are in {page}"


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


def _show(found: Evaluation, protocol: Protocol) -> None:
    """The table, what its columns are, what was not explained, and where to read on."""
    from onnx_reciprocam.evaluation.protocol import HIGHER, MEANINGS, METRICS
    from onnx_reciprocam.evaluation.summary import UNPOINTED, compared

    names = [name for name in protocol.metrics if any(name in line.figures for line in found.lines)]
    for table in _tables(found, names, Console().width):
        Console().print(table)
        say("")
    say("Percent, below it its 95% bootstrap interval; * is the best; time: of one explanation.")
    pictures, common = len({row["path"] for row in found.rows}), compared(found.rows, [x.method for x in found.lines])
    for name in names:
        better = "higher" if name in HIGHER else "lower"
        count = max(line.figures[name].pictures for line in found.lines if name in line.figures)
        only = "" if count == common else f"; {count:,} map{'' if count == 1 else 's'}"
        say((f"  {METRICS[name]:7}{MEANINGS[name]}; {better} is better{only}", "dim"))
    if missing := [METRICS[name] for name in protocol.metrics if name not in names]:
        say((f"  not measured: {', '.join(missing)}; {UNPOINTED}", "dim"))
    if found.failures:
        path, reason = next(iter(found.failures.items()))
        say((f"{len(found.failures)} of {_pictures(pictures)} not explained", "red"), f", such as {path}: {reason}")
    say(f"{_pictures(common)} compared; page to look at: ", (str(found.folder / "report.html"), "bold"))


def _pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def _tables(found: Evaluation, names: Sequence[str], width: int) -> list[Table]:
    """A row per method; columns that do not fit side by side are in tables one below the other."""
    from onnx_reciprocam.evaluation import HIGHER, METRICS, best

    columns: list[list[Text]] = []
    for name in names:
        winners = best(found.lines, name)
        head = Text(f"{METRICS[name]}{'↑' if name in HIGHER else '↓'}", "bold")
        columns.append([head, *(_cell(line, name, winners) for line in found.lines)])
    columns.append([Text("time", "bold"), *(Text(lasting(line.seconds)) for line in found.lines)])
    methods = [Text("method", "bold"), *(Text(line.method) for line in found.lines)]
    parts: list[list[list[Text]]] = []
    for column in columns:
        if not parts or _widths([methods, *parts[-1], column]) > width:
            parts.append([])
        parts[-1].append(column)
    return [_table([methods, *part]) for part in parts]


def _widths(columns: Sequence[Sequence[Text]]) -> int:
    """Of a table of these, a space between."""
    return sum(1 + max(len(line) for cell in column for line in cell.plain.split("\n")) for column in columns) - 1


def _table(columns: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column[0], justify="right" if i else "left", no_wrap=True)
    for cells in list(zip(*columns, strict=True))[1:]:
        table.add_row(*cells)
    return table


def _cell(line: Line, name: str, winners: set[str]) -> Text:
    figure = line.figures.get(name)
    if figure is None:
        return Text("-")
    won = line.method in winners
    value = Text(f"{'*' if won else ''}{100 * figure.value:.1f}", "bold" if won else "")
    return Text.assemble(value, Text(f"\n{100 * figure.low:.0f}-{100 * figure.high:.0f}", "dim"))
