"""``onnx-reciprocam bench``: what the maps cost on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from onnx_reciprocam.timings import quartiles

from . import options as shared
from .preprocessing import read_size
from .terminal import say

if TYPE_CHECKING:
    from onnx_reciprocam.timings import Benchmark, Variant

_RACE = "Measurement"


def bench(
    model: shared.Model,
    *,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The same for programs, run by run.")] = False,
    output: shared.Output = None,
    size: shared.Size = None,
    target: shared.Target = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
    classes: shared.Classes = None,
    max_memory: shared.MaxMemory = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", metavar="B", help="Images per run.", show_default="1, or the model's", rich_help_panel=_RACE
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", help="Within an operator.", rich_help_panel=_RACE)
    ] = 2,
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", help="Of each variant; the median counts.", rich_help_panel=_RACE)
    ] = 15,
    warmup: Annotated[int, typer.Option("--warmup", metavar="N", help="Runs before those.", rich_help_panel=_RACE)] = 3,
    naive: Annotated[
        bool,
        typer.Option(
            " /--no-naive", metavar="", help="Leave out the slow way.", show_default=False, rich_help_panel=_RACE
        ),
    ] = True,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            "--provider",
            metavar="NAME",
            help="onnxruntime's execution provider; may be repeated.",
            show_default="CPUExecutionProvider",
            rich_help_panel=_RACE,
        ),
    ] = None,
) -> None:
    """Time MODEL without maps, with maps, and with maps made the slow way.

    The three take turns on the same noise. Peak memory is measured in a fresh process for each.
    """
    from onnx_reciprocam.benchmark import bench as measure

    how = shared.given(mask=mask, vit_mask=vit_mask, score=score, classes=classes, max_memory=max_memory)
    with Console(stderr=True).status("Reading") as status:
        found = measure(
            model,
            target=target,
            batch=batch,
            threads=threads,
            runs=runs,
            warmup=warmup,
            naive=naive,
            output=output,
            size=read_size(size),
            providers=provider,
            progress=status.update,
            **how,
        )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)


def _show(found: Benchmark) -> None:
    height, width = found.grid
    say("Maps of ", (found.target, "bold"), f", {height}x{width} cells.")
    fed = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in found.inputs.items())
    say(f"Fed {fed}; {found.threads} threads, {', '.join(found.providers)}.")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("variant")
    for column in ("median ms", "quartiles", "x plain", "quartiles", "peak MB", "more"):
        table.add_column(column, justify="right", no_wrap=True)
    for variant in found.variants:
        table.add_row(*_row(variant, found.plain))
    Console().print(table)
    if found.naive is None:
        say(f"The naive explanation was left out: {found.naive_skipped}.")
    say(f"By multiply-adds, maps make the model {found.multiply_adds:,.3f} times as dear.")
    say("x plain: beside the plain model's run of the same round, median of the rounds.")
    say("Peak MB: of a fresh process that loads the model and runs it twice.")


def _row(variant: Variant, plain: Variant) -> tuple[str, ...]:
    growth = variant.growth(plain)
    return (
        variant.name,
        _number(variant.median),
        _range(variant.milliseconds),
        f"{variant.ratio(plain):,.2f}",
        _range(variant.ratios(plain)),
        "?" if variant.peak_mb is None else f"{variant.peak_mb:,.0f}",
        "" if growth is None or variant is plain else f"{growth:+,.1f}%",
    )


def _range(values: Sequence[float]) -> str:
    return " - ".join(map(_number, quartiles(values)))


def _number(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
