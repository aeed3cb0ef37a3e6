"""``onnx-reciprocam inspect``: what could be explained, and at what price."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from .options import Model, Output
from .preprocessing import SizeOption, read_size

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter import Inspection


def inspect(
    model: Model,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    output: Output = None,
    size: SizeOption = None,
) -> None:
    """List the feature maps that can be explained, and which one is taken by itself."""
    from onnx_reciprocam.rewriter import inspect as look

    found = look(model, output=output, size=read_size(size))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)


def _show(found: Inspection) -> None:
    console = Console()
    console.print(f"Output [bold]{found.output}[/] scores {found.classes} classes; logits: {found.logits}")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("--target", overflow="fold")
    for column in ("layout", "shape", "cells", "extra cost", ""):
        table.add_column(column, justify="right" if column in {"cells", "extra cost"} else "left", no_wrap=True)
    for candidate in found.candidates:
        shape = "x".join("?" if size is None else str(size) for size in candidate.shape)
        style = "bold green" if candidate.automatic else None
        mark = "automatic" if candidate.automatic else ""
        cost = f"+{candidate.extra_cost:.1%}" if candidate.extra_cost < 1 else f"+{candidate.extra_cost:,.1f}x"
        table.add_row(candidate.node, candidate.layout, shape, str(candidate.cells), cost, mark, style=style)
    console.print(table)
    console.print(f"Automatic: {found.why}.", soft_wrap=True)
    console.print("Extra cost: multiply-adds of the maps of one class, over the plain model's.")
