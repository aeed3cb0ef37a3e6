"""``onnx-reciprocam export-triton``: a model repository for Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnx_reciprocam.errors import OptionError

from . import options as shared
from .folders import check_folder
from .terminal import say

_RUNNING = "How Triton runs it"


def export_triton(
    explained: Annotated[list[Path], typer.Argument(metavar="EXPLAINED...", help="Files that `rewrite` wrote.")],
    repository: Annotated[
        Path, typer.Option("--out", "-o", metavar="REPO", help="The model repository; made if missing.")
    ],
    *,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the model.", show_default="the file's name")
    ] = None,
    version: Annotated[str, typer.Option(metavar="N", help="A number from 1, or `next`.")] = "1",
    overwrite: shared.Overwrite = False,
    max_batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Images in one run, 0 for requests as they come.",
            show_default="16, or 0 where the batch is fixed or the file has a switch",
            rich_help_panel=_RUNNING,
        ),
    ] = None,
    queue_delay: Annotated[
        int,
        typer.Option(
            metavar="MICROSECONDS", min=0, help="How long a request may wait for others.", rich_help_panel=_RUNNING
        ),
    ] = 100,
    preferred_batch: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Batches that need not wait once full.", rich_help_panel=_RUNNING),
    ] = None,
    cpu: Annotated[
        bool, typer.Option("--cpu", metavar="", help="Run it on the CPU.", rich_help_panel=_RUNNING)
    ] = False,
    gpu: Annotated[
        bool, typer.Option("--gpu", metavar="", help="Run it on every GPU.", rich_help_panel=_RUNNING)
    ] = False,
    instances: Annotated[
        int, typer.Option(metavar="N", min=1, help="Copies that run at once, per GPU.", rich_help_panel=_RUNNING)
    ] = 1,
    keep_versions: Annotated[
        int, typer.Option(metavar="N", min=1, help="Newest versions that are served.", rich_help_panel=_RUNNING)
    ] = 1,
) -> None:
    """Write REPO/NAME/VERSION/model.onnx and the config.pbtxt that Triton Inference Server needs to serve it.

    A file written with --toggle gets its switch as an optional input, which Triton has only without batching; with \
--max-batch it has none, and always explains.
    """
    from onnx_reciprocam.deployment import Serving, export_triton

    if cpu and gpu:
        raise OptionError("--cpu", "--gpu too", ("one of the two, or neither to let Triton choose",))
    serving = Serving(
        max_batch=max_batch,
        queue_delay=queue_delay,
        preferred=_numbers(preferred_batch),
        device="cpu" if cpu else "gpu" if gpu else "auto",
        instances=instances,
        versions=keep_versions,
    )
    check_folder(repository)
    found = export_triton(explained, repository, serving, name=name, version=_version(version), overwrite=overwrite)
    for model in found:
        batch = next(line for line in model.config.splitlines() if line.startswith("max_batch_size"))
        say((str(model.folder), "bold"), f": version {model.version}, {batch}")
    say("Serve it: tritonserver --model-repository ", str(repository.absolute()))


def _numbers(text: str | None) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if not all(part.isdecimal() for part in parts):
        raise OptionError("--preferred-batch", str(text), ("whole numbers with commas between",))
    return tuple(map(int, parts))


def _version(text: str) -> int:
    from onnx_reciprocam.deployment import NEXT

    if text == "next":
        return NEXT
    if not text.isdecimal() or not int(text):
        raise OptionError("--version", text, ("a number from 1", "next"))
    return int(text)
