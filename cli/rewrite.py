"""``onnx-reciprocam rewrite``: a plain model in, an explained one out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.contract import RewriteOptions

from . import options as shared
from .preprocessing import read_labels, read_preprocessing
from .terminal import command, say, share

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter import Spliced

MUCH = 2 * 10**9
"""Bytes that the maps of one image had better not take unasked."""


def rewrite(
    model: shared.Model,
    out: shared.Written,
    *,
    output: shared.Output = None,
    report: Annotated[
        bool, typer.Option("--report", metavar="", help="Show what the maps cost, node by node.")
    ] = False,
    overwrite: shared.Overwrite = False,
    target: shared.Target = None,
    method: shared.Method = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
    classes: shared.Classes = None,
    normalize: shared.NormalizeChoice = None,
    upsample: shared.UpsampleChoice = None,
    toggle: shared.Toggle = False,
    max_memory: shared.MaxMemory = None,
    size: shared.Size = None,
    crop: shared.Crop = None,
    mean: shared.Mean = None,
    std: shared.Std = None,
    scale: shared.Scale = None,
    color: shared.Color = None,
    layout: shared.Layout = None,
    labels: shared.Labels = None,
) -> None:
    """Write a copy of MODEL that returns saliency maps beside its predictions.

    How pictures become the input (--size, --mean, ...) and class names (--labels) are written into the file, so that \
`onnx-reciprocam explain FILE photo.jpg -o DIR` needs nothing else.
    """
    from onnx_reciprocam.rewriter import rewrite_with

    options = RewriteOptions.parse(
        target=target, method=method, mask=mask, vit_mask=vit_mask, score=score, output=output, normalize=normalize,
        upsample=upsample, classes=classes, toggle=toggle, max_memory=max_memory,
    )  # fmt: skip
    preprocessing = read_preprocessing(
        None, size=size, crop=crop, mean=mean, std=std, scale=scale, color=color, layout=layout
    )
    names = read_labels(labels)
    spliced = rewrite_with(model, out, options, overwrite=overwrite, preprocessing=preprocessing, labels=names)
    _summary(out, spliced, limited=max_memory is not None)
    if report:
        _report(spliced)
    say("Check it:   ", command("verify", out, "--against", model))
    say("Look at it: ", command("explain", out, "PHOTO.jpg", "-o", "DIR"))
    if not names:
        say("Classes are numbers until --labels FILE names them, here or in explain: one name per line, in order.")


def _summary(out: Path, spliced: Spliced, *, limited: bool) -> None:
    contract, extra = spliced.contract, spliced.cost / max(spliced.plain_cost, 1)
    grid = "x".join("?" if side is None else str(side) for side in contract.grid)
    say((str(out), "bold"), f": {grid} maps of ", (contract.target, "bold"), f", class {contract.classes}")
    say(f"Extra cost: {share(extra)} of the plain model's multiply-adds")
    if extra > 1:
        say("That is more than the network itself: `inspect` shows what other targets cost.")
    if spliced.memory > MUCH and not limited and contract.method == "reciprocam" and None not in contract.grid:
        say(
            f"The maps take about {spliced.memory / 1e9:,.1f} GB: with `--max-memory 1GB` they come in chunks of cells."
        )
    for remark in spliced.remarks:
        say((remark, "yellow"))


def _report(spliced: Spliced) -> None:
    kinds = Counter(note.term for note in spliced.notes)
    say("Nodes behind the target: ", ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    say("  Spot: one copy serves all masks. Stacked: a copy per mask, of what the pool or flattening left.")
    millions = 1e6 * spliced.batch
    plain, maps = spliced.plain_cost / millions, spliced.cost / millions
    say(f"Multiply-adds per image: plain {plain:,.1f} M, maps {maps:,.1f} M")
    lots = f", in {spliced.chunks} chunks of cells" if spliced.chunks > 1 else ""
    say(f"Memory of the maps (of one image, if the batch is open): about {spliced.memory / 1e6:,.1f} MB{lots}")
    if reordered := sum(note.reordered for note in spliced.notes):
        say(f"Weights that the runtime keeps a second time, in another order: {reordered / 1e6:,.1f} MB")
    widened = [note for note in spliced.notes if note.widened]
    if not widened:
        say("No node had to be multiplied out.")
        return
    table = Table("node", "operator", "one copy per cell, because", "M", box=None, header_style="bold", pad_edge=False)
    for note in widened:
        table.add_row(Text(note.node), note.op, Text(note.widened), f"{note.multiply_adds / millions:,.1f}")
    Console().print(table)
