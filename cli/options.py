"""Options that several commands share, with the words of their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnx_reciprocam.contract import Mask, Normalize, Score, Upsample

Model = Annotated[Path, typer.Argument(help="The .onnx file of an exported classifier.", show_default=False)]
Explained = Annotated[Path, typer.Argument(help="A file that `rewrite` wrote.", show_default=False)]
Written = Annotated[Path, typer.Option("-o", "--out", help="The .onnx file to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
Output = Annotated[
    str | None, typer.Option(help="The output to explain.", show_default="the first that scores classes")
]
Target = Annotated[
    str | None,
    typer.Option(help="Node or tensor whose cells are masked; see `inspect`.", show_default="the last one possible"),
]
Method = Annotated[str, typer.Option(help="How to explain: reciprocam.")]
MaskChoice = Annotated[
    Mask, typer.Option("--mask", help="What stays of the map: one cell, or it and its neighbours weighted 3x3.")
]
ScoreChoice = Annotated[
    Score, typer.Option("--score", help="Explain the value before the final Softmax or Sigmoid, or after it.")
]
Classes = Annotated[
    str,
    typer.Option(help="A map for the predicted class, all, the best (top:K), or those the caller asks for (input)."),
]
NormalizeChoice = Annotated[Normalize, typer.Option("--normalize", help="Each map to [0, 1], or raw scores.")]
UpsampleChoice = Annotated[Upsample, typer.Option("--upsample", help="One value per cell, or per pixel of the input.")]
Toggle = Annotated[
    bool, typer.Option("--toggle", help="Maps only when the optional bool input `explain` is not false.")
]
