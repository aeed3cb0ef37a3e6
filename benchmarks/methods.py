"""What methods cost beside the plain model: python benchmarks/methods.py writes methods.csv.

EfficientNet-Lite0 with its ImageNet weights, and the zoo's ResNet-50 with drawn ones; one image, two threads. Spliced methods take
turns with the plain model, medians of 15; a black box runs once between plain runs, with as many inferences as stand in its row.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path

import onnxruntime
from rich.progress import Progress

from onnx_reciprocam.benchmark import compare
from onnx_reciprocam.methods import BlackBox, InGraph, methods
from onnx_reciprocam.models import efficientnet_lite0
from onnx_reciprocam.timings import quartiles

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "zoo"))
from skeleton import load  # noqa: E402 - from where the zoo is

BOXES = ("scorecam", "rise", "occlusion")
COLUMNS = (
    "date", "cpu", "python", "onnxruntime", "model", "method", "runs", "inferences", "plain_ms", "method_ms", "ratio",
    "ratio_quartiles", "peak_mb",
)  # fmt: skip


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "methods.csv")
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    spliced = [name for name, kind in methods().items() if issubclass(kind, InGraph)]
    boxes = [name for name in BOXES if issubclass(methods()[name], BlackBox)]
    models = {"efficientnet-lite0": efficientnet_lite0(), "resnet50": load("resnet50", "dynamon")}
    rows = []
    with Progress() as bars:
        for model, proto in models.items():
            task = bars.add_task(model, total=None)
            found = compare(
                proto, [*spliced, *boxes], runs=given.runs, samples=1000,
                progress=lambda what, task=task, model=model: bars.update(task, description=f"{model}: {what}"),
            )  # fmt: skip
            for row in found:
                low, high = quartiles(row.ratios)
                rows.append(
                    {
                        "date": datetime.now(timezone.utc).date().isoformat(),
                        "cpu": platform.processor() or platform.machine(),
                        "python": platform.python_version(),
                        "onnxruntime": onnxruntime.__version__,
                        "model": model,
                        "method": row.method,
                        "runs": len(row.ratios),
                        "inferences": row.inferences,
                        "plain_ms": f"{found[0].median:.2f}",
                        "method_ms": f"{row.median:.2f}",
                        "ratio": f"{row.ratio:.3f}",
                        "ratio_quartiles": f"{low:.3f}-{high:.3f}",
                        "peak_mb": "" if row.peak_mb is None else f"{row.peak_mb:.0f}",
                    }
                )
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
