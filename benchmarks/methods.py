"""What methods cost beside the plain model: python benchmarks/methods.py writes methods.csv.

EfficientNet-Lite0 with its ImageNet weights, and the zoo's ResNet-50 with drawn ones; one image, two threads. Spliced methods take
turns with the plain model, medians of 15; a black box runs once between plain runs, with as many inferences as stand in its row.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from networks import about_this_machine, as_csv
from rich.progress import Progress

from onnx_reciprocam.benchmark import MethodTime, compare
from onnx_reciprocam.methods import InGraph, methods
from onnx_reciprocam.models import efficientnet_lite0
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles

HERE = Path(__file__).parent
BOXES = ("scorecam", "rise", "occlusion")


def main() -> None:
    """Measure and write."""
    sys.path.insert(0, str(HERE.parent / "tests" / "zoo"))
    from skeleton import load

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "methods.csv")
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    spliced = [name for name, kind in methods().items() if issubclass(kind, InGraph)]
    models = {"efficientnet-lite0": efficientnet_lite0(), "resnet50": load("resnet50", "dynamon")}
    machine, rows = about_this_machine(), []
    with Progress() as bars:
        for model, proto in models.items():
            task = bars.add_task(model, total=None)
            found = compare(
                proto, [*spliced, *BOXES], runs=given.runs, samples=1000,
                progress=lambda what, task=task, model=model: bars.update(task, description=f"{model}: {what}"),
            )  # fmt: skip
            rows += [machine | {"model": model} | _row(time, found[0]) for time in found]
            write_atomically(given.out, as_csv(rows))


def _row(found: MethodTime, plain: MethodTime) -> dict[str, str]:
    low, high = quartiles(found.ratios)
    return {
        "method": found.method,
        "runs": str(len(found.ratios)),
        "inferences": str(found.inferences),
        "plain_ms": f"{plain.median:.2f}",
        "method_ms": f"{found.median:.2f}",
        "ratio": f"{found.ratio:.3f}",
        "ratio_quartiles": f"{low:.3f}-{high:.3f}",
        "peak_mb": "" if found.peak_mb is None else f"{found.peak_mb:.0f}",
    }


if __name__ == "__main__":
    main()
