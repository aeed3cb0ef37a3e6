"""The page of a report: one file of HTML that loads its rows from the folder beside it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.pages import render
from onnx_reciprocam.reporting.thumbnails import ALPHA
from onnx_reciprocam.visualise import colorize

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnx_reciprocam.reporting.run import Report

HERE = Path(__file__).parent
SCRIPTS = ("rows.js", "heat.js", "cards.js", "grid.js", "enlarged.js", "filters.js")
"""Parts of the page's script, in order; each uses those before it."""


def page(found: Report, settings: Mapping[str, Any], data: str, chunks: int) -> str:
    """The page's HTML.

    Args:
        found: What it shows.
        settings: What the batch was made with.
        data: The folder of its data, as the page's own folder names it.
        chunks: Files of rows in there.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    return render(
        HERE / "page.html",
        "batch",
        found=found,
        settings=dict(_lines(settings)),
        model=Path(str(settings.get("model", "the model"))).name,
        plan={"data": data, "chunks": chunks, "alpha": ALPHA, "colors": _colors()},
        style=(HERE / "page.css").read_text("utf-8"),
        scripts=[(HERE / name).read_text("utf-8") for name in SCRIPTS],
    )


def _colors() -> str:
    """The colour map's 256 colours, RGB, from the smallest cell's to the largest's."""
    return base64.b64encode(colorize(np.arange(256.0)[None]).tobytes()).decode()


def _lines(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values to read, without what is empty."""
    for name, value in settings.items():
        if value not in ([], {}, ""):
            yield name.replace("_", " "), value if isinstance(value, str) else json.dumps(value)
