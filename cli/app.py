"""All commands under one roof."""

from __future__ import annotations

import typer

import onnx_reciprocam

from .batch import batch
from .bench import bench
from .demo import demo
from .evaluate import evaluate
from .explain import explain
from .export_triton import export_triton
from .inspect import inspect
from .methods import methods
from .report import report
from .rewrite import rewrite
from .serve import serve
from .strip import strip
from .verify import verify
from .web import web

app = typer.Typer(
    name="onnx-reciprocam",
    help="Saliency maps inside your .onnx: one session.run returns predictions and why.\n\n"
    "Start with: onnx-reciprocam inspect MODEL.onnx, then rewrite, then explain; or with: onnx-reciprocam demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(onnx_reciprocam.__version__)
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: bool = typer.Option(
        False, "--version", metavar="", is_eager=True, callback=lambda value: _version(wanted=value), help="Show it."
    ),
) -> None:
    pass


for command in (
    inspect,
    rewrite,
    explain,
    verify,
    strip,
    bench,
    batch,
    evaluate,
    report,
    serve,
    export_triton,
    web,
    methods,
    demo,
):
    app.command()(command)
