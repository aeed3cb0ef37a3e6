"""``onnx-reciprocam demo``: the whole tool on a real network and real photos, in under a minute."""

from __future__ import annotations

import importlib.util
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from onnx_reciprocam.errors import MissingPackageError, VerificationError, WriteError

from . import options as shared
from .folders import check_folder, make_folder
from .terminal import command, say

if TYPE_CHECKING:
    import onnx

    from onnx_reciprocam.runtime import Explanation

PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg")
RUNS = 15
FILES = ("efficientnet-lite0.onnx", "efficientnet-lite0.explained.onnx", "demo.png")


def demo(
    *,
    folder: shared.Folder = Path("reciprocam-demo"),
    overwrite: shared.Overwrite = False,
) -> None:
    """Build a real classifier, rewrite it, verify it, and explain three photos."""
    console = Console()
    photos = [_photo(name) for name in PHOTOS]
    plain, explained, sheet = _files(folder, photos, overwrite=overwrite)
    _build(console, plain, explained, overwrite=overwrite)
    _verify(console, plain, explained)
    results = _explain(console, explained, photos, folder)
    _draw(sheet, results)
    _time(plain, explained)
    say("\nAll three side by side: ", (str(sheet), "bold"))
    say(("Next, with a picture of your own:", "bold"))
    say("  ", command("explain", explained, "PHOTO.jpg", "-o", folder))
    say(("or with a model of your own:", "bold"))
    say("  ", command("inspect", "MODEL.onnx"))


def _photo(name: str) -> Path:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise MissingPackageError("scikit-image", "demo")
    return Path(spec.origin).parent / "data" / name


def _files(folder: Path, photos: list[Path], *, overwrite: bool) -> list[Path]:
    """The demo's own files, none of them in the way."""
    check_folder(folder)
    for name in (*FILES, *(f"{photo.stem}.explained.png" for photo in photos)):
        if (folder / name).exists() and not overwrite:
            raise WriteError(str(folder / name), "it exists. Run the demo again with --overwrite, or with -o DIR.")
    make_folder(folder)
    return [folder / name for name in FILES]


def _build(console: Console, plain: Path, explained: Path, *, overwrite: bool) -> None:
    from onnx_reciprocam.graph import save
    from onnx_reciprocam.models import EFFICIENTNET_LITE0_PREPROCESSING, efficientnet_lite0, imagenet_labels
    from onnx_reciprocam.rewriter import rewrite

    with console.status("Building EfficientNet-Lite0"):
        model: onnx.ModelProto = efficientnet_lite0()
        save(model, plain, overwrite=overwrite)
    say("1. EfficientNet-Lite0 with its ImageNet weights: ", (str(plain), "bold"))
    with console.status("Rewriting"):
        rewrite(
            plain,
            explained,
            overwrite=overwrite,
            preprocessing=EFFICIENTNET_LITE0_PREPROCESSING,
            labels=imagenet_labels(),
        )
    grown = explained.stat().st_size - plain.stat().st_size
    say(f"2. The same with maps, {grown / 1024:.0f} KB larger: ", (str(explained), "bold"))


def _verify(console: Console, plain: Path, explained: Path) -> None:
    from onnx_reciprocam.verification import verify

    with console.status("Running the tail once per cell"):
        found = verify(explained, plain, batches=(1,))
    if not found.passed:
        raise VerificationError("; ".join(failure.detail for failure in found.failures))
    say("3. Verified: predictions bit-identical, maps equal to the naive explanation")


def _explain(console: Console, explained: Path, photos: list[Path], folder: Path) -> list[Explanation]:
    from onnx_reciprocam.runtime import ExplainedSession

    session = ExplainedSession(explained)
    results = [session.explain_image(photo) for photo in photos]
    say("4. Explained three photos, each in one session.run:")
    table = Table(
        "photo", "top classes", escape(f"written to {folder}"), box=None, header_style="bold", padding=(0, 2, 0, 1)
    )
    for photo, result in zip(photos, results, strict=True):
        path = result.save(folder / f"{photo.stem}.explained.png")
        classes = "\n".join(f"{score:6.1%}  {label}" for _, label, score in result.top(3))
        table.add_row(photo.name, Text(classes), Text(path.name))
    console.print(table)
    return results


def _draw(sheet: Path, results: list[Explanation]) -> None:
    from onnx_reciprocam import visualise
    from onnx_reciprocam.runtime.atomic import write_atomically

    panels = {f"{result.top(1)[0].label} {result.top(1)[0].score:.0%}": result.overlay() for result in results}
    write_atomically(sheet, visualise.encode(visualise.caption(panels, []), ".png"))


def _time(plain: Path, explained: Path) -> None:
    """Medians of interleaved runs on two threads, batch 1."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    sessions = [ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in (plain, explained)]
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    seconds: list[list[float]] = [[], []]
    for _ in range(RUNS + 2):
        for session, times in zip(sessions, seconds, strict=True):
            start = time.perf_counter()
            session.run(None, {"image": image})
            times.append(time.perf_counter() - start)
    before, after = (statistics.median(times[2:]) * 1000 for times in seconds)
    say(f"5. Time: plain {before:.1f} ms, with maps {after:.1f} ms ({after / before:.2f}x), median of {RUNS}")
