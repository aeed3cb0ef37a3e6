"""``onnx-reciprocam inspect``: what could be explained, and at what price."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Model, Output, Size
from .preprocessing import read_size
from .terminal import command, say, share

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter import Inspection
    from onnx_reciprocam.rewriter.inspection import Candidate

_AUTOMATIC, _FLAT = "*", "-"


def inspect(
    model: Model,
    *,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The same for programs.")] = False,
    output: Output = None,
    size: Size = None,
) -> None:
    """List the feature maps that can be explained, and which one is taken by itself."""
    from onnx_reciprocam.rewriter import inspect as look

    found = look(model, output=output, size=read_size(size))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found, model)


def _show(found: Inspection, model: Path) -> None:
    logits = "" if found.logits == found.output else f", from the logits {found.logits!r}"
    say("Output ", (found.output, "bold"), f" scores {found.classes} classes{logits}.")
    rows = [("", "cells", "extra cost", "shape", "layout", "--target"), *map(_row, found.candidates)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for mark, cells, cost, shape, layout, name in rows:
        numbers = f"{mark:1} {cells:>{widths[1]}}  {cost:>{widths[2]}}  {shape:{widths[3]}}  {layout:{widths[4]}}"
        # Last and never wrapped: names run to a hundred characters, and are there to be copied.
        say((f"{numbers}  {name}", "bold green" if mark == _AUTOMATIC else ""))
    say(f"{_AUTOMATIC} is taken unless --target names another: {found.why}.")
    if not all(candidate.reaches for candidate in found.candidates):
        say(f"{_FLAT} no longer reaches the score: maps there are flat.")
    say("Extra cost: multiply-adds of the maps of one class, over the plain model's.")
    say("Next: ", command("rewrite", model, "-o", model.with_suffix(".explained.onnx").name))


def _row(candidate: Candidate) -> tuple[str, ...]:
    return (
        _AUTOMATIC if candidate.automatic else "" if candidate.reaches else _FLAT,
        str(candidate.cells),
        share(candidate.extra_cost) if candidate.widened is not None else f"< {share(candidate.extra_cost)}",
        "x".join("?" if side is None else str(side) for side in candidate.shape),
        candidate.layout,
        candidate.node,
    )
