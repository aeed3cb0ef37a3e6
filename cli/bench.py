"""``onnx-reciprocam bench``: what the maps cost on this machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from onnx_reciprocam.errors import OptionError
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
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="METHOD,METHOD",
            help="Time several methods against the plain model instead, black boxes among them.",
            show_default=False,
        ),
    ] = None,
    target: shared.Target = None,
    method: shared.Method = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
    classes: shared.Classes = None,
    max_memory: shared.MaxMemory = None,
    samples: shared.Samples = None,
    seed: shared.Seed = None,
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
    """Time MODEL without maps, with maps, and with maps made the slow way; or with --compare several methods.

    The variants take turns on the same noise. Peak memory is measured in a fresh process for each.
    """
    how = shared.given(target=target, mask=mask, vit_mask=vit_mask, score=score, classes=classes, max_memory=max_memory)
    race: dict[str, Any] = {
        "threads": threads, "runs": runs, "warmup": warmup, "output": output, "size": read_size(size),
        "providers": provider,
    }  # fmt: skip
    if compare is not None:
        if method is not None:
            raise OptionError("--method", method, ("nothing beside --compare, which names the methods",))
        if batch not in {None, 1}:
            raise OptionError("--batch", str(batch), ("1 with --compare, since black boxes explain one image",))
        _compare(model, compare, how | shared.given(samples=samples, seed=seed), race, as_json=as_json)
        return
    from onnx_reciprocam.benchmark import bench as measure
    from onnx_reciprocam.methods import find

    find(method or "reciprocam").refuse(shared.given(samples=samples, seed=seed))

    with Console(stderr=True).status("Reading") as status:
        how |= shared.given(method=method)
        found = measure(model, batch=batch, naive=naive, progress=status.update, **race, **how)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)


def _compare(model: Path, compare: str, how: dict[str, Any], race: dict[str, Any], *, as_json: bool) -> None:
    """Several methods, a row each."""
    from onnx_reciprocam.benchmark import compare as measure

    names = list(dict.fromkeys(name.strip() for name in compare.split(",")))
    with Console(stderr=True).status("Reading") as status:
        found = measure(model, names, progress=status.update, **race, **how)
    if as_json:
        typer.echo(json.dumps([row.to_dict() for row in found], indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("method")
    for column in ("median ms", "x plain", "quartiles", "inferences", "peak MB", "runs"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found:
        peak = "" if row.peak_mb is None else f"{row.peak_mb:,.0f}"
        spread = _range(row.ratios) if len(row.ratios) > 1 else ""
        table.add_row(
            row.method,
            _number(row.median),
            f"{row.ratio:,.2f}",
            spread,
            f"{row.inferences:,}",
            peak,
            str(len(row.ratios)),
        )
    Console().print(table)
    say("x plain: beside the plain model's run of the same round, median; a black box beside the plain runs around it.")


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
