"""Options that several commands share, each defined once with the words of its help.

An option that is left out is None: its default is the library's, and the help only names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from onnx_reciprocam.contract import Mask, Normalize, RewriteOptions, Score, Upsample, VitMask

_DEFAULTS = RewriteOptions()
_MAPS = "Maps"
_PICTURES = "How a picture becomes the input"
_BLACK_BOX = "Black-box methods"

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The .onnx file of an exported classifier.")]
Explained = Annotated[Path, typer.Argument(metavar="EXPLAINED", help="A file that `rewrite` wrote.")]

Written = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The .onnx file to write.")]
Folder = Annotated[Path, typer.Option("--output-dir", "-o", metavar="DIR", help="Where the files go; made if missing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", metavar="", help="Replace files that exist.")]

ClassId = Annotated[
    list[int] | None,
    typer.Option(
        "--class-id",
        metavar="N",
        min=0,
        help="Explain class N; may be repeated. For plain models, and files rewritten with --classes input.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", metavar="NAME", help="The output to explain.", show_default="the first that scores classes"
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Node or tensor whose cells are masked; `inspect` lists them.",
        show_default="the last feature map",
        rich_help_panel=_MAPS,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="METHOD",
        help="How maps are made: reciprocam, cam, gradcam, rise, ...; `onnx-reciprocam methods` lists all.",
        show_default=_DEFAULTS.method,
        rich_help_panel=_MAPS,
    ),
]
MaskChoice = Annotated[
    Mask | None,
    typer.Option(
        "--mask",
        metavar="MASK",
        help="What stays: one cell (pixel), it and its neighbours weighted 3x3 (gaussian), or its features copied to "
        "them (replicated).",
        show_default=_DEFAULTS.mask.value,
        rich_help_panel=_MAPS,
    ),
]
VitMaskChoice = Annotated[
    VitMask | None,
    typer.Option(
        "--vit-mask",
        metavar="WHERE",
        help="In a transformer, mask the tokens that enter a block (residual), or behind its first norm as well "
        "(post-norm).",
        show_default=_DEFAULTS.vit_mask.value,
        rich_help_panel=_MAPS,
    ),
]
ScoreChoice = Annotated[
    Score | None,
    typer.Option(
        "--score",
        metavar="SCORE",
        help="What a map explains: the value before the final Softmax or Sigmoid (logit), or after it (probability).",
        show_default=_DEFAULTS.score.value,
        rich_help_panel=_MAPS,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="WHICH",
        help="A map for the predicted class (predicted), the best ones (top:3), every one (all), or those the caller "
        "names (input).",
        show_default=str(_DEFAULTS.classes),
        rich_help_panel=_MAPS,
    ),
]
NormalizeChoice = Annotated[
    Normalize | None,
    typer.Option(
        "--normalize",
        metavar="HOW",
        help="Scale each map to [0, 1] (minmax), or leave raw scores (none).",
        show_default=_DEFAULTS.normalize.value,
        rich_help_panel=_MAPS,
    ),
]
UpsampleChoice = Annotated[
    Upsample | None,
    typer.Option(
        "--upsample",
        metavar="TO",
        help="One value per cell (none), or per pixel of the input (input).",
        show_default=_DEFAULTS.upsample.value,
        rich_help_panel=_MAPS,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="What the maps of one image may add to a run, such as 512MB: above it, cells are explained in chunks.",
        show_default="no limit",
        rich_help_panel=_MAPS,
    ),
]
Toggle = Annotated[
    bool,
    typer.Option(
        "--toggle",
        metavar="",
        help="Add a bool input `explain`; a caller that passes false gets predictions alone, at the plain price.",
        rich_help_panel=_MAPS,
    ),
]

Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        metavar="N",
        help="Masks, draws or steps of a method that takes them.",
        show_default="the method's",
        rich_help_panel=_BLACK_BOX,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", min=0, help="Of what is drawn at random.", show_default="0", rich_help_panel=_BLACK_BOX
    ),
]

Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="HxW",
        help="Height and width of the input, or one number for both.",
        show_default="the model's, else 224",
        rich_help_panel=_PICTURES,
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="SHARE",
        help="Share of the shorter side that the centre crop keeps, or `stretch` for the whole picture.",
        show_default="0.875",
        rich_help_panel=_PICTURES,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="M,M,M",
        help="Subtracted after scaling, per channel.",
        show_default="0.485,0.456,0.406",
        rich_help_panel=_PICTURES,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        "--std",
        metavar="S,S,S",
        help="Divided by, per channel.",
        show_default="0.229,0.224,0.225",
        rich_help_panel=_PICTURES,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="FACTOR",
        help="Multiplies pixels of 0 to 255 first.",
        show_default="1/255",
        rich_help_panel=_PICTURES,
    ),
]
Color = Annotated[
    str | None,
    typer.Option(
        "--color",
        metavar="ORDER",
        help="Channels: rgb, bgr or gray.",
        show_default="rgb",
        rich_help_panel=_PICTURES,
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="AXES",
        help="Axes: nchw or nhwc.",
        show_default="the model's",
        rich_help_panel=_PICTURES,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="Class names, one per line.", rich_help_panel=_PICTURES),
]


def given(**options: Any) -> dict[str, Any]:
    """Those that the user wrote."""
    return {name: value for name, value in options.items() if value is not None}
