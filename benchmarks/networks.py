"""What maps cost: networks of the test zoo, from both PyTorch exporters.

    python benchmarks/networks.py --out last_stage.csv                   # at the last feature map, CNNs and transformers
    python benchmarks/networks.py --middle --out middle.csv              # hooked in the middle
    python benchmarks/networks.py --batch 8 --out batch8.csv resnet18    # one of them, eight images at a time
    python benchmarks/networks.py vgg16@14x14 --out vgg.csv              # the last target with this grid
    python benchmarks/networks.py vit_b_16-6 --mask gaussian --exporter dynamon --out vit.csv   # 6 targets further in front

2 threads, CPU, random weights; see README.md for the columns.
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
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles

if TYPE_CHECKING:
    from onnx_reciprocam.timings import Benchmark, Variant

HERE = Path(__file__).parent
EXPORTERS = ("ts1", "dynamon")
"""TorchScript with a static batch, and dynamo with a dynamic one."""
LAST = (
    *(
        "resnet18",
        "resnet50",
        "resnet101",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "densenet121",
        "convnext_tiny",
        "swin_t",
        "mobilenet_v2",
    ),
    *("mobilenet_v3_small", "efficientnet_b0", "vgg16", "squeezenet1_1", "vit_b_16", "deit_tiny_patch16_224"),
)
"""Explained at the automatic target."""
MIDDLE = (
    *("resnet50@14x14", "resnet18@14x14", "mobilenet_v2@14x14", "efficientnet_b0@14x14", "vgg16@14x14"),
    *("densenet121@14x14", "squeezenet1_1@13x13"),
)
"""Explained further in front."""

Row = dict[str, str]


def main() -> None:
    """Measure, print each network as it is done, and keep the file whole all the while."""
    sys.path.insert(0, str(HERE.parent / "tests" / "zoo"))
    from skeleton import load, names

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "network", nargs="*", metavar="NETWORK[@HxW|-K]", help="default: the list for the last feature map"
    )
    parser.add_argument("--mask", default="pixel", help="as rewrite takes it (default: %(default)s)")
    parser.add_argument(
        "--no-naive", action="store_true", help="leave the naive explanation out: it may take minutes a run"
    )
    parser.add_argument("--exporter", choices=EXPORTERS, help="one of them instead of both")
    parser.add_argument("--middle", action="store_true", help="the list for targets in the middle instead")
    parser.add_argument("--batch", type=int, default=1, help="images per run; static ones are left out beyond 1")
    parser.add_argument("--runs", type=int, default=15, help="of each variant (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="the CSV; replaced if it is there")
    arguments = parser.parse_args()
    known = set(names())
    machine, rows = about_this_machine(), list[Row]()
    for wanted in arguments.network or (MIDDLE if arguments.middle else LAST):
        name, _, grid = wanted.partition("@")
        name, _, back = name.partition("-")
        for exporter in EXPORTERS[arguments.batch > 1 :]:
            if arguments.exporter not in {None, exporter}:
                continue
            if (name, exporter) not in known:
                print(f"{name} from {exporter} is not in the zoo", file=sys.stderr)
                continue
            model = load(name, exporter)
            options = {"mask": arguments.mask, "batch": arguments.batch, "naive": not arguments.no_naive}
            found = bench(model, target=target(model, grid, back), runs=arguments.runs, **options)
            about = {"model": name, "exporter": exporter, "batch": str(arguments.batch), "mask": arguments.mask}
            rows.append(machine | about | row(found))
            print(", ".join(rows[-1][column] for column in rows[-1] if column not in machine), flush=True)
            write_atomically(arguments.out, as_csv(rows))


def target(model: onnx.ModelProto, grid: str, back: str) -> str | None:
    """The last target with a grid such as ``14x14``, the one so many ``back`` from the automatic one, or None for that."""
    if not grid and not back:
        return None
    network = study(model)
    if grid:
        sides = [int(side) for side in grid.split("x")]
        found = [target for target in network.targets if list(target.seen_grid) == sides]
    else:
        names = [target.tensor.name for target in network.targets]
        found = network.targets[: max(names.index(automatic(network)[0].tensor.name) - int(back) + 1, 0)]
    if not found:
        sys.exit(f"no target has {grid} cells" if grid else f"there are no {back} targets further in front")
    return str(found[-1].tensor.name)


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
    cells["multiply_adds"] = f"{found.multiply_adds:.3f}"
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
