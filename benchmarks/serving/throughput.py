"""What serving costs: requests per second and latency on loopback, by wrk.

    python benchmarks/serving/throughput.py                              # throughput.csv, on a quiet machine
    python benchmarks/serving/throughput.py --rounds 3 --seconds 5 --network resnet18 --out some.csv

Five ways take turns in every round, each round in another order, all on the zoo's network with random weights, the map of
the predicted class, and the same JPEG picture:

    bare_plain        FastAPI around a session of the plain file        (bare.py)
    bare_explained    FastAPI around a session of the explained file
    predict           onnx-reciprocam serve on a --toggle file, maps switched off
    explain           the same file and server, with maps
    always            onnx-reciprocam serve on a file without the switch, with maps

A row is one way. Its ratios are medians over the rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from load import Load, load
from servers import Server, bare, served

import onnx_reciprocam as rc
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles
from onnx_reciprocam.visualise import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
RATIOS = {
    "bare_explained": "bare_plain",
    "predict": "bare_plain",
    "explain": "bare_explained",
    "always": "bare_explained",
}
"""Against what the rate of each way is held; ``explain`` and ``always`` stand beside ``predict`` too."""


def main() -> None:
    """Measure, print, write."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "tests" / "zoo")]
    from networks import about_this_machine, as_csv
    from skeleton import load as network

    given = arguments()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        body = folder / "picture.jpg"
        body.write_bytes(photo())
        files = models(network(given.network, "dynamon"), folder)
        ways = {way: (server, url) for way, server, url in start(files, folder, given.threads, stack)}
        for way, (server, url) in ways.items():
            what = next(key for key, value in server.urls.items() if value == url)
            maps = bool(server.answer(what, body.read_bytes()).keys() & {"saliency", "explanations"})
            if maps != (way in {"bare_explained", "explain", "always"}):
                sys.exit(f"{way} answers what it was not asked")
        rounds: list[dict[str, Load]] = []
        for number in range(-1, given.rounds):
            order = random.Random(number).sample(list(ways), len(ways))  # noqa: S311 - an order
            found = {
                way: load(
                    ways[way][1],
                    body,
                    folder / "post.lua",
                    connections=given.connections,
                    seconds=given.seconds,
                )
                for way in order
            }
            if number >= 0:  # the first does not count
                rounds.append(found)
                print({way: f"{found[way].rate:.2f}/s p99 {found[way].p99:.0f} ms" for way in ways}, flush=True)
        about = about_this_machine() | {
            "load_average": f"{os.getloadavg()[0]:.1f}",
            "model": given.network,
            "connections": str(given.connections),
            "threads": str(given.threads),
            "rounds": str(given.rounds),
            "seconds": f"{given.seconds:g}",
        }
        write_atomically(given.out, as_csv([about | row(way, rounds) for way in ways]))


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="resnet50", help="of the zoo, as dynamo exports it (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="that send at once (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of onnxruntime (default: all cores)")
    parser.add_argument("--rounds", type=int, default=7, help="that count (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each way in a round (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "throughput.csv", help="the CSV; replaced if it is there")
    return parser.parse_args()


def photo() -> bytes:
    """A JPEG of 640x480 with the detail of a photograph: noise that falls off with its frequency."""
    rng = np.random.default_rng(0)
    down, across = np.fft.fftfreq(480)[:, None, None], np.fft.fftfreq(640)[None, :, None]
    noise = np.fft.fft2(rng.standard_normal((480, 640, 3)), axes=(0, 1)) / np.hypot(np.hypot(down, across), 1 / 640)
    smooth = np.fft.ifft2(noise, axes=(0, 1)).real
    low, high = np.percentile(smooth, (1, 99))
    return encode(np.clip((smooth - low) / (high - low) * 255, 0, 255).astype(np.uint8), ".jpg")


def models(network: onnx.ModelProto, folder: Path) -> dict[str, Path]:
    """The plain file, and the explained one with and without the switch."""
    files = {name: folder / f"{name}.onnx" for name in ("plain", "always", "switch")}
    onnx.save(network, files["plain"])
    rc.rewrite(network, files["always"])
    rc.rewrite(network, files["switch"], toggle=True)
    return files


def start(
    files: dict[str, Path], folder: Path, threads: int, stack: contextlib.ExitStack
) -> Iterator[tuple[str, Server, str]]:
    """Every way, its server, and the address to ask."""
    for way, file in {"bare_plain": "plain", "bare_explained": "always"}.items():
        server = stack.enter_context(bare(files[file], folder, threads))
        yield way, server, server.urls["look"]
    server = stack.enter_context(served(files["switch"], folder, threads))
    yield "predict", server, server.urls["predict"]
    yield "explain", server, server.urls["explain"]
    server = stack.enter_context(served(files["always"], folder, threads))
    yield "always", server, server.urls["explain"]


def row(way: str, rounds: list[dict[str, Load]]) -> dict[str, str]:
    """One way's numbers."""
    rates = [found[way].rate for found in rounds]
    cells = {"way": way, "requests_per_second": f"{statistics.median(rates):.2f}"}
    cells["rate_quartiles"] = "{:.2f}-{:.2f}".format(*quartiles(rates))
    for name in ("p50", "p99"):
        cells[f"{name}_ms"] = f"{statistics.median(getattr(found[way], name) for found in rounds):.1f}"
    cells["errors"] = str(sum(found[way].refused + found[way].broken for found in rounds))
    against = RATIOS.get(way, way)
    ratios = [found[way].rate / found[against].rate for found in rounds]
    costs = [found["predict"].rate / found[way].rate for found in rounds]
    cells |= {"rate_beside": against, "rate_ratio": f"{statistics.median(ratios):.3f}"}
    cells["rate_ratio_quartiles"] = "{:.3f}-{:.3f}".format(*quartiles(ratios))
    cells["times_predict"] = f"{statistics.median(costs):.3f}"
    cells["times_predict_quartiles"] = "{:.3f}-{:.3f}".format(*quartiles(costs))
    return cells


if __name__ == "__main__":
    main()
