"""What maps at the last feature map cost: every network of the test zoo, from both PyTorch exporters.

    python benchmarks/last_stage.py                      # all of them, into last_stage.csv
    python benchmarks/last_stage.py resnet18 vgg16       # two of them

Batch 1, 2 threads, CPU, random weights; see README.md for the columns.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime

from onnx_reciprocam.benchmark import bench
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles

if TYPE_CHECKING:
    from onnx_reciprocam.timings import Benchmark, Variant

HERE = Path(__file__).parent
EXPORTERS = ("ts1", "dynamon")
"""TorchScript with a static batch, and dynamo with a dynamic one."""

Row = dict[str, str]


def main() -> None:
    """Measure, print each network as it is done, and keep the file whole all the while."""
    sys.path.insert(0, str(HERE.parent / "tests" / "zoo"))
    from skeleton import load, names

    known = sorted({name for name, _ in names()})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"all of them if none is named: {known}")
    parser.add_argument("--runs", type=int, default=15, help="of each variant (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE / "last_stage.csv", help="default: %(default)s")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.network) - set(known)):
        parser.error(f"the zoo has no {', '.join(unknown)}; it has {', '.join(known)}")
    machine, rows = about_this_machine(), list[Row]()
    for name in arguments.network or known:
        for exporter in EXPORTERS:
            found = bench(load(name, exporter), runs=arguments.runs)
            rows.append(machine | {"model": name, "exporter": exporter} | row(found))
            print(", ".join(rows[-1][column] for column in rows[-1] if column not in machine), flush=True)
            write_atomically(arguments.out, as_csv(rows))


def about_this_machine() -> Row:
    """What the times depend on besides the model."""
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "cpu": cpu(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "onnx": onnx.__version__,
    }


def cpu() -> str:
    """The processor's name."""
    try:
        named = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def row(found: Benchmark) -> Row:
    """One network's numbers."""
    cells: Row = {"target": found.target, "grid": "x".join(map(str, found.grid)), "runs": str(found.runs)}
    measured = {variant.name: variant for variant in found.variants}
    for name in ("plain", "explained", "naive"):
        cells |= columns(name, measured.get(name), found.plain)
    return cells | {"naive_skipped": found.naive_skipped}


def columns(name: str, variant: Variant | None, plain: Variant) -> Row:
    """One variant's numbers, empty where it was not measured."""
    cells = dict.fromkeys((f"{name}_ms", f"{name}_quartiles_ms", f"{name}_peak_mb"), "")
    if name != "plain":
        cells |= dict.fromkeys((f"{name}_ratio", f"{name}_ratio_quartiles"), "")
    if variant is None:
        return cells
    numbers = {
        f"{name}_ms": f"{variant.median:.2f}",
        f"{name}_quartiles_ms": "{:.2f}-{:.2f}".format(*variant.quartiles),
        f"{name}_peak_mb": "" if variant.peak_mb is None else f"{variant.peak_mb:.1f}",
        f"{name}_ratio": f"{variant.ratio(plain):.3f}",
        f"{name}_ratio_quartiles": "{:.3f}-{:.3f}".format(*quartiles(variant.ratios(plain))),
    }
    return {column: numbers[column] for column in cells}


def as_csv(rows: list[Row]) -> bytes:
    """The rows under their columns' names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    main()
