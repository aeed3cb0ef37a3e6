"""``onnx-reciprocam report``: a batch as a page to look through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .bars import bar
from .terminal import say, say_aside


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `batch` made.")],
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Pictures on the page at most; of more, as many evenly spread.")
    ] = 20_000,
    look: Annotated[bool, typer.Option("--open", metavar="", help="Show it in the browser.")] = False,
) -> None:
    """Make a page of a batch: every picture under its map, to filter, sort and enlarge.

    DIR ends up with report.html to look at and a folder report beside it with small pictures; keep the two together. \
Made again, the page replaces the one that is there.
    """
    from onnx_reciprocam.reporting import report as make

    with bar() as progress:
        made = make(folder, limit=limit, progress=progress)
    of = f" of {made.rows:,}" if made.shown < made.rows else ""
    counts = {"failed": made.failed, "with a flat map": made.flat, "without the picture": made.gone}
    told = "".join(f", {count:,} {what}" for what, count in counts.items() if count)
    say(f"{made.shown:,}{of} row{'' if made.rows == 1 else 's'}{told}; page to look at: ", (str(made.page), "bold"))
    if made.missing:
        say_aside(made.missing)
    if look:
        typer.launch(str(made.page.absolute()))
