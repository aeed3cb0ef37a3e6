"""``onnx-reciprocam rewrite``: a plain model in, an explained one out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from onnx_reciprocam.contract import ClassChoice, Mask, Normalize, RewriteOptions, Score, Upsample

from . import options as shared
from .preprocessing import (
    ColorOption,
    CropOption,
    LabelsOption,
    LayoutOption,
    MeanOption,
    ScaleOption,
    SizeOption,
    StdOption,
    read_labels,
    read_preprocessing,
)

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter import Spliced


def rewrite(
    model: shared.Model,
    out: shared.Written,
    *,
    target: shared.Target = None,
    method: shared.Method = "reciprocam",
    mask: shared.MaskChoice = Mask.PIXEL,
    score: shared.ScoreChoice = Score.LOGIT,
    classes: shared.Classes = "predicted",
    output: shared.Output = None,
    normalize: shared.NormalizeChoice = Normalize.MINMAX,
    upsample: shared.UpsampleChoice = Upsample.NONE,
    toggle: shared.Toggle = False,
    report: Annotated[bool, typer.Option("--report", help="Show what the maps cost, node by node.")] = False,
    overwrite: shared.Overwrite = False,
    size: SizeOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    color: ColorOption = None,
    layout: LayoutOption = None,
    labels: LabelsOption = None,
) -> None:
    """Write a copy of MODEL that returns saliency maps beside its predictions.

    How pictures become inputs (--size, --mean, ...) and class names (--labels) are written into the file, so that
    `explain OUT photo.jpg` needs nothing else.
    """
    from onnx_reciprocam.rewriter import rewrite_with

    options = RewriteOptions(
        target, method, mask, score, ClassChoice.parse(classes), output, normalize, upsample, toggle
    )
    preprocessing = read_preprocessing(
        None, size=size, crop=crop, mean=mean, std=std, scale=scale, color=color, layout=layout
    )
    spliced = rewrite_with(
        model, out, options, overwrite=overwrite, preprocessing=preprocessing, labels=read_labels(labels)
    )
    console = Console()
    contract = spliced.contract
    grid = "x".join("?" if side is None else str(side) for side in contract.grid)
    console.print(
        f"[bold]{out}[/]: {grid} maps of [bold]{contract.target}[/], class {contract.classes}", soft_wrap=True
    )
    if report:
        _report(console, spliced)
    console.print(f"Check it: onnx-reciprocam verify {out} --against {model}", soft_wrap=True, highlight=False)


def _report(console: Console, spliced: Spliced) -> None:
    kinds = Counter(note.term for note in spliced.notes)
    console.print("Nodes behind the target: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    millions = 1e6 * spliced.batch
    plain, maps = spliced.plain_cost / millions, spliced.cost / millions
    console.print(f"Multiply-adds per image: plain {plain:,.1f} M, maps {maps:,.1f} M")
    widened = [note for note in spliced.notes if note.widened]
    if not widened:
        console.print("No node had to be multiplied out.")
        return
    table = Table("node", "operator", "one copy per cell, because", "M", box=None, header_style="bold", pad_edge=False)
    for note in widened:
        table.add_row(note.node, note.op, note.widened, f"{note.multiply_adds / millions:,.1f}")
    console.print(table)
