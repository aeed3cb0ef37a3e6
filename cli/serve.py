"""``onnx-reciprocam serve``: explained files behind an address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnx_reciprocam.contract import parse_bytes
from onnx_reciprocam.errors import OptionError

_BATCHES = "Batches"
_LIMITS = "Limits"


def serve(
    models: Annotated[list[Path], typer.Argument(metavar="OUT", help="Files that `rewrite` wrote, each a model.")],
    *,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Of REST; 0 takes one that is free.")] = 8080,
    grpc_port: Annotated[int, typer.Option("--grpc-port", metavar="N", help="Of gRPC; 0 likewise.")] = 8081,
    grpc: Annotated[bool, typer.Option(" /--no-grpc", metavar="", help="REST alone.", show_default=False)] = True,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answer only requests with 'Authorization: Bearer KEY', KEY being a line of FILE; health is for all.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes that share the ports, each with its own sessions and limits; one that dies is replaced. Linux.",
        ),
    ] = 1,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            metavar="N",
            help="Of onnxruntime, within an operator, in each worker.",
            show_default="a core each, divided among the workers",
        ),
    ] = 0,
    max_batch: Annotated[
        int,
        typer.Option(
            "--max-batch", metavar="B", help="Images of several requests in one run.", rich_help_panel=_BATCHES
        ),
    ] = 8,
    max_delay_ms: Annotated[
        float,
        typer.Option(
            "--max-delay-ms", metavar="MS", help="How long a request waits for company.", rich_help_panel=_BATCHES
        ),
    ] = 2.0,
    max_queue: Annotated[
        int,
        typer.Option(
            "--max-queue",
            metavar="N",
            help="Requests at once; one more gets 503 with Retry-After.",
            rich_help_panel=_LIMITS,
        ),
    ] = 64,
    max_body: Annotated[
        str,
        typer.Option(
            "--max-body", metavar="SIZE", help="Of a request; a larger one gets 413.", rich_help_panel=_LIMITS
        ),
    ] = "16MB",
    max_pixels: Annotated[
        int,
        typer.Option(
            "--max-pixels",
            metavar="N",
            help="Of a request's pictures, by their headers, before any is decoded; above it 413.",
            rich_help_panel=_LIMITS,
        ),
    ] = 32_000_000,
    max_connections: Annotated[
        int, typer.Option("--max-connections", metavar="N", help="Open at once.", rich_help_panel=_LIMITS)
    ] = 4096,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="S", help="For an answer; after it 504.", rich_help_panel=_LIMITS),
    ] = 30.0,
    client_timeout: Annotated[
        float,
        typer.Option(
            "--client-timeout",
            metavar="S",
            help="For a client to send its request, and to take the answer; a slower one is cut.",
            rich_help_panel=_LIMITS,
        ),
    ] = 20.0,
    grace: Annotated[
        float,
        typer.Option(
            "--grace", metavar="S", help="To finish what was taken on, once told to stop.", rich_help_panel=_LIMITS
        ),
    ] = 30.0,
) -> None:
    r"""Serve explained files: predictions and their reasons over REST and gRPC, by KServe's protocols.

    A picture goes in by POST as it is, or as base64 in JSON; out come the best classes, maps, or an overlay as PNG. Tensors
    go in and out by the Open Inference Protocol (tritonclient speaks it). SIGTERM or Ctrl-C stops it once every request that
    it has taken on is answered. The log is JSON, a line per request, on stdout.

    \b
    Then, NAME being a file's name without .onnx:
    curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/models/NAME:predict
    curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/models/NAME:explain
    curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' -H 'Accept: image/png' \
         localhost:8080/v1/models/NAME:explain -o why.png
    curl localhost:8080/v2/models/NAME ... /metrics ... /openapi.json
    """
    from onnx_reciprocam.serving import Settings, read_keys
    from onnx_reciprocam.serving import serve as run

    settings = Settings(
        host=host, port=port, grpc_port=grpc_port if grpc else None, workers=workers, threads=threads,
        max_batch=max_batch, max_delay_ms=max_delay_ms, max_queue=max_queue, max_body=_bytes(max_body),
        max_pixels=max_pixels, max_connections=max_connections, timeout=timeout, client_timeout=client_timeout,
        grace=grace, keys=() if api_key_file is None else read_keys(api_key_file),
    )  # fmt: skip
    run(models, settings)


def _bytes(text: str) -> int:
    """Of a size such as 16MB."""
    try:
        return parse_bytes(text)
    except OptionError as error:
        raise OptionError("--max-body", text, error.allowed) from error
