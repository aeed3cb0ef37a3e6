"""``onnx-reciprocam web``: a page that explains pictures in the browser."""

from __future__ import annotations

import shlex
from typing import Annotated

import onnxruntime
import typer

from . import options as shared
from .folders import check_folder
from .terminal import say, say_aside


def web(
    explained: shared.Explained,
    *,
    folder: shared.Folder,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What the page is called.", show_default="the file's name"),
    ] = None,
    overwrite: shared.Overwrite = False,
) -> None:
    """Write a static page that runs EXPLAINED in the browser: a picture or the camera in, classes and heat map out.

    Nothing leaves the browser, and nothing comes from elsewhere: DIR has the model and onnxruntime's WebAssembly.
    """
    from onnx_reciprocam.web import write_site

    onnxruntime.set_default_logger_severity(3)
    check_folder(folder)
    site = write_site(explained, folder, title=title, overwrite=overwrite)
    if site.assumed:
        say_aside("No preprocessing in the file: ImageNet's is used. Say it to `rewrite`, and the file remembers.")
    say((str(folder), "bold"), f": {len(site.files)} files, {site.bytes / 1e6:.1f} MB")
    say(
        "Look at it:  ",
        (shlex.join(["python", "-m", "http.server", "-d", str(folder)]), "bold"),
        "  at http://localhost:8000",
    )
