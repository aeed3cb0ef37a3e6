"""How fast `batch` is beside loops that do nothing else: python benchmarks/dataset/throughput.py writes throughput.csv.

EfficientNet-Lite0 with its ImageNet weights. Each round takes fresh pictures through four loops, in another order each time: `batch`
on the explained file, with its hashes, rows and files; a bare loop on it (read, decode, prepare, run; one thread per core, each with
runs of its own on one core, as many pictures per run); the same on the plain model; and the bare explained loop again, which shows the
noise.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import onnxruntime
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1]))

from networks import about_this_machine, as_csv
from pictures import draw, real

import onnx_reciprocam as rc
from onnx_reciprocam.dataset import batch
from onnx_reciprocam.models import efficientnet_lite0
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.cores import core_count
from onnx_reciprocam.timings import quartiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
SIDE, RESIZED = 224, 256


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "throughput.csv")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--synthetic", type=int, default=5000)
    parser.add_argument("--real", type=int, default=500)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="reciprocam-") as temporary:
        folder = Path(temporary)
        onnx.save(efficientnet_lite0(), folder / "plain.onnx")
        rc.rewrite(folder / "plain.onnx", folder / "explained.onnx", preprocessing=rc.Preprocessing())
        for kind, files in {
            "synthetic": draw(folder / "synthetic", given.synthetic),
            "real": real(folder / "real", given.real),
        }.items():
            rows += measured(kind, files, folder, given.rounds)
            write_atomically(given.out, as_csv(rows))


def measured(kind: str, files: Sequence[Path], folder: Path, rounds: int) -> list[dict[str, str]]:
    """A row per loop, compared with `batch` round by round."""
    threads = core_count()
    (folder / "first.txt").write_text(str(files[0]))
    size = batch_size(folder)
    plain, explained = (opened(folder / f"{name}.onnx") for name in ("plain", "explained"))
    loops: dict[str, Callable[[Sequence[Path], int], float]] = {
        "batch": partial(by_batch, folder=folder, size=size),
        "bare explained": partial(bare, session=explained, threads=threads, size=size),
        "bare plain": partial(bare, session=plain, threads=threads, size=size),
        "bare explained again": partial(bare, session=explained, threads=threads, size=size),
    }
    rates: dict[str, list[float]] = {name: [] for name in loops}
    chance = random.Random(0)  # noqa: S311 - an order of turns
    for turn in track(range(rounds + 1), f"{kind} pictures"):
        pictures = files[turn % rounds :: rounds]
        for name in chance.sample(list(loops), len(loops)):
            seconds = loops[name](pictures, len(list(folder.glob("out*"))))
            if turn:  # the first warms up
                rates[name].append(len(pictures) / seconds)
    facts = {"pictures": f"{len(files)} {kind}", "threads": str(threads), "batch_size": str(size)}
    return [about_this_machine() | facts | row(name, rates) for name in loops]


def row(name: str, rates: dict[str, list[float]]) -> dict[str, str]:
    """One loop's numbers."""
    ratios = [ours / theirs for ours, theirs in zip(rates["batch"], rates[name], strict=True)]
    low, high = quartiles(ratios)
    return {
        "loop": name,
        "rounds": str(len(ratios)),
        "per_second": f"{statistics.median(rates[name]):.1f}",
        "batch_over_it": f"{statistics.median(ratios):.3f}",
        "quartiles": f"{low:.3f}-{high:.3f}",
    }


def batch_size(folder: Path) -> int:
    """What `batch` finds best here."""
    from onnx_reciprocam.dataset.opening import opened as try_out

    how = {"class_ids": (), "preprocessing": None, "labels": (), "providers": (), "batch_size": None, "threads": None}
    with try_out(folder / "explained.onnx", **how, folder=None, tell=print, options={}) as ready:
        return ready.batch_size


def by_batch(files: Sequence[Path], number: int, *, folder: Path, size: int) -> float:
    """Seconds from the first picture to the last row on disk."""
    source = folder / "list.txt"
    source.write_text("\n".join(map(str, files)))
    tally = batch(folder / "explained.onnx", source, folder / f"out{number}", batch_size=size)
    if tally.failed:
        sys.exit(f"{tally.failed} pictures failed")
    return tally.seconds


def opened(model: Path) -> onnxruntime.InferenceSession:
    """A session whose runs keep to one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def bare(files: Sequence[Path], _: int, *, session: onnxruntime.InferenceSession, threads: int, size: int) -> float:
    """Seconds of a loop that keeps nothing."""
    lots = [files[start : start + size] for start in range(0, len(files), size)]
    name = session.get_inputs()[0].name
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda lot: session.run(None, {name: np.stack([prepared(file) for file in lot])}), lots):
            pass
    return time.perf_counter() - start


def prepared(file: Path) -> np.ndarray:
    """As everybody writes it: shorter side to 256, centre of 224, ImageNet's mean and deviation."""
    picture = cv2.cvtColor(cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scale = RESIZED / min(picture.shape[:2])
    height, width = (round(side * scale) for side in picture.shape[:2])
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    cut = picture[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255
    scaled = (cut - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


if __name__ == "__main__":
    main()
