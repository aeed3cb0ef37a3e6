"""``onnx-reciprocam methods``: what ``--method`` takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .terminal import say

if TYPE_CHECKING:
    from onnx_reciprocam.methods import Method


def methods(
    name: Annotated[str | None, typer.Argument(metavar="[METHOD]", help="Tell more of this one.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="The same for programs.")] = False,
) -> None:
    """List the explanation methods: what each needs of a model and what it costs.

    Methods that are spliced into the file work in `rewrite` and `explain`; black boxes run the plain model many times, \
in `explain` alone.
    """
    from onnx_reciprocam.methods import BlackBox, find
    from onnx_reciprocam.methods import methods as known

    def facts(method: type[Method]) -> dict[str, object]:
        return {
            "name": method.name,
            "title": method.title,
            "formula": method.formula,
            "paper": method.paper,
            "needs": [need.value for need in method.needs],
            "inferences": method.inferences,
            "spliced": not issubclass(method, BlackBox),
        }

    chosen = [find(name)] if name else list(known().values())
    if as_json:
        typer.echo(json.dumps([facts(method) for method in chosen], indent=2))
        return
    if name:
        _tell(chosen[0])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("method", no_wrap=True)
    for column in ("in the file", "needs", "inferences per image"):
        table.add_column(column)
    for method in chosen:
        place = "no" if issubclass(method, BlackBox) else "yes"
        table.add_row(method.name, place, ", ".join(need.value for need in method.needs), method.inferences)
    Console().print(table)
    say("Formula and paper of one: onnx-reciprocam methods METHOD")
    say("All on one picture:       onnx-reciprocam explain MODEL PHOTO.jpg -o DIR --compare reciprocam,gradcam,rise")


def _tell(method: type[Method]) -> None:
    """One method at length."""
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "method": f"{method.title} (--method {method.name})",
        "map": method.formula,
        "paper": method.paper,
        "needs": ", ".join(need.value for need in method.needs),
        "inferences": method.inferences,
        "": " ".join((method.__doc__ or "").replace("``", "").split()),
    }
    for key, value in rows.items():
        table.add_row(Text(key, "bold"), Text(value))
    Console().print(table)
