"""``onnx-reciprocam verify``: is the explained file what it says it is?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.errors import OptionError, VerificationError

from . import options as shared
from .terminal import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.verification import Verification


def verify(
    explained: shared.Explained,
    *,
    against: Annotated[Path, typer.Option(metavar="MODEL", help="The original file.", show_default=False)],
    images: Annotated[
        list[Path] | None, typer.Option(metavar="IMAGE", help="A picture to run; may be repeated. Noise if none.")
    ] = None,
    batches: Annotated[str, typer.Option(metavar="B,B", help="Batch sizes of the noise.")] = "1,2",
    cells: Annotated[
        int | None,
        typer.Option(metavar="K", help="Compare only K random cells of raw maps (--normalize none).", min=1),
    ] = None,
    optimised: Annotated[
        bool,
        typer.Option("--optimised", help="A tool has optimised the explained file since: compare what it computes."),
    ] = False,
) -> None:
    """Compare an explained file with its original, and its maps with the naive explanation.

    The original is cut at the target and its tail run once per masked cell: slow, and independent of what wrote the \
file. Exit code 1 if anything differs by more than rounding.
    """
    from onnx_reciprocam.verification import verify as check

    sizes = _sizes(batches)
    pictures = _pictures(explained, images) if images else None
    with Console(stderr=True).status("Running the tail once per cell"):
        found = check(explained, against, pictures, batches=sizes, cells=cells, optimised=optimised)
    _show(found)
    if not found.passed:
        raise VerificationError("; ".join(f"{failure.name}: {failure.detail}" for failure in found.failures))


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise OptionError("--batches", text, ("whole numbers from 1 with commas between",))
    return tuple(map(int, parts))


def _pictures(explained: Path, images: list[Path]) -> NDArray[np.float32]:
    """The pictures as one batch of the input, prepared as the file says."""
    from onnx_reciprocam.runtime import ExplainedSession

    session = ExplainedSession(explained)
    return np.concatenate([session.prepare(image)[0] for image in images])


def _show(found: Verification) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, answer, detail in found.rows():
        table.add_row(Text(answer, "green" if answer == "ok" else "bold red"), Text(name), Text(detail))
    Console().print(table)
    if found.passed and not found.maps:
        say(("Passed", "bold green"), ": predictions; only ReciproCAM's maps have a naive explanation to compare with")
    elif found.passed:
        compared = f"predictions and {found.maps} maps; worst error {found.worst:.2g} of its tolerance"
        say(("Passed", "bold green"), f": {compared}")
