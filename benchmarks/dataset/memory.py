"""What `batch` holds, and how soon it begins: python benchmarks/dataset/memory.py writes memory.csv.

The peak memory of a process of its own for so many pictures, and the seconds until the first rows of a list of ten million.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

from networks import about_this_machine, as_csv
from pictures import draw

import onnx_reciprocam as rc
from onnx_reciprocam.models import efficientnet_lite0
from onnx_reciprocam.runtime.atomic import write_atomically

HERE = Path(__file__).parent
DRAWN = 1000
"""Different files; longer lists name them again and again."""

_RUN = """
import sys
from onnx_reciprocam.cli import run
code = run(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("PEAK", int(peak.split()[1]) * 1024 / 1e6)
sys.exit(code)
"""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "memory.csv")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20000])
    parser.add_argument("--long", type=int, default=10_000_000)
    given = parser.parse_args()
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="reciprocam-") as temporary:
        folder = Path(temporary)
        onnx.save(efficientnet_lite0(), folder / "plain.onnx")
        rc.rewrite(folder / "plain.onnx", folder / "explained.onnx", preprocessing=rc.Preprocessing())
        files = draw(folder / "photos", DRAWN, 128, 96)
        for count in [*given.counts, given.long]:
            source = folder / f"{count}.txt"
            with source.open("w") as stream:
                for start in range(0, count, DRAWN):
                    stream.write("".join(f"{file}\n" for file in files[: count - start]))
            found = first_rows(folder, source) if count == given.long else peak(folder, source)
            rows.append(about_this_machine() | {"pictures": str(count), "peak_mb": "", "first_rows_s": ""} | found)
            write_atomically(given.out, as_csv(rows))


def call(folder: Path, source: Path) -> list[str]:
    """Runs of two pictures on two threads, so that every row of the table is of the same work."""
    words = ["batch", str(folder / "explained.onnx"), str(source), "-o", str(folder / f"out-{source.stem}")]
    return [sys.executable, "-c", _RUN, *words, "--batch-size", "2", "--threads", "2"]


def peak(folder: Path, source: Path) -> dict[str, str]:
    """Megabytes of the whole run."""
    said = subprocess.run(call(folder, source), stdout=subprocess.PIPE, check=True, text=True).stdout  # noqa: S603 - ours
    return {"peak_mb": f"{float(said.split('PEAK')[1]):.1f}"}


def first_rows(folder: Path, source: Path) -> dict[str, str]:
    """Seconds from the start of the process until it says that rows are done."""
    start = time.perf_counter()
    with subprocess.Popen(call(folder, source), stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        for line in process.stderr or ():
            if line.startswith("{") and json.loads(line)["done"]:
                break
        seconds = time.perf_counter() - start
        process.kill()
    return {"first_rows_s": f"{seconds:.1f}"}


if __name__ == "__main__":
    main()
