"""Explained files on a GPU: are maps those of the CPU, and what do they cost beside the plain model?

    pip install onnxruntime-gpu          # instead of onnxruntime; TensorRT's libraries on the loader's path for the second provider
    python benchmarks/gpu.py             # CUDA and TensorRT, writes gpu.csv
    python benchmarks/gpu.py --provider CPUExecutionProvider --out cpu.csv   # a trial of the script itself

A row per provider, network and option, of the files that ``tests/runtimes`` knows: the largest difference from onnxruntime's CPU
provider as a share of a map's spread, how many nodes ran elsewhere than on the provider, and for default maps the time of plain
and explained in turns, medians of rounds. Sums are in full single precision (no TF32), or they would differ in the third digit.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # read when the libraries are loaded

import onnxruntime
from networks import HERE, about_this_machine, as_csv

from onnx_reciprocam.benchmark import bench
from onnx_reciprocam.benchmark.field import known_providers
from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.timings import quartiles

sys.path += [str(HERE.parent / "tests" / folder) for folder in ("rewriter", "zoo", "runtimes")]
from explained_files import LARGE_FILES, TINY_FILES, plain
from outcomes import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explained_files import ExplainedFile, Feeds
    from runtimes import Outputs

GPU = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
SETTINGS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}


class Provider:
    """One of onnxruntime's execution providers as a runtime to compare.

    Args:
        name: As onnxruntime calls it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.elsewhere = 0
        """Nodes of the last run that another provider took."""

    def __call__(self, model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs:
        """Run once, and count what ran elsewhere."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        if written:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        with tempfile.TemporaryDirectory() as folder:
            options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "run"))
            session = onnxruntime.InferenceSession(
                model, options, providers=[self.name], provider_options=[SETTINGS.get(self.name, {})]
            )
            results = session.run(list(outputs), feeds)
            events = json.loads(Path(session.end_profiling()).read_text())
        if session.get_providers()[0] != self.name:  # onnxruntime only warns if its libraries are missing
            raise RuntimeError(f"{self.name} did not load; this would have been a run of {session.get_providers()[0]}")
        ran = [event["args"]["provider"] for event in events if "provider" in event.get("args", {})]
        self.elsewhere = sum(provider != self.name for provider in ran)
        return dict(zip(outputs, results, strict=True))


def compared(provider: Provider, file: ExplainedFile) -> dict[str, str]:
    """How maps differ from the CPU's."""
    found = judge(provider, file)
    numbers = {"error": f"{found.error:.1e}", "allowed": f"{found.allowed:.1e}"}
    return {**numbers, "nodes_elsewhere": str(provider.elsewhere), "reason": found.reason[:200]}


def timed(provider: str, network: str, runs: int) -> dict[str, str]:
    """Plain and explained in turns."""
    try:
        found = bench(plain(network), runs=runs, naive=False, providers=[provider])
    except ReciprocamError as error:
        return {"plain_ms": "", "explained_ms": "", "ratio": "", "ratio_quartiles": str(error)}
    ratios = found.explained.ratios(found.plain)
    low, high = quartiles(ratios)
    return {
        "plain_ms": f"{found.plain.median:.3f}",
        "explained_ms": f"{found.explained.median:.3f}",
        "ratio": f"{found.explained.ratio(found.plain):.3f}",
        "ratio_quartiles": f"{low:.3f}-{high:.3f}",
    }


NOT_TIMED = dict.fromkeys(("plain_ms", "explained_ms", "ratio", "ratio_quartiles"), "")


def rows(given: argparse.Namespace) -> list[dict[str, str]]:
    """A row per provider and file; printed as they come."""
    machine, table = about_this_machine(), []
    for name in known_providers(given.provider):
        provider = Provider(name)
        for file in (*TINY_FILES, *LARGE_FILES):
            if given.network and file.network not in given.network:
                continue
            row: dict[str, Any] = {"provider": name, "network": file.network, "option": file.option}
            row |= compared(provider, file)
            row |= timed(name, file.network, given.runs) if file.option == "predicted" else NOT_TIMED
            print(*row.values(), sep=" | ", flush=True)
            table.append(machine | row)
    return table


def main() -> None:
    """Compare, time, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--provider", action="append", help="one of onnxruntime's; CUDA and TensorRT if not given")
    parser.add_argument("--network", action="append", help="one of tests/runtimes/plain_networks.py; all if not given")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=HERE / "gpu.csv")
    given = parser.parse_args()
    given.provider = given.provider or list(GPU)
    try:
        write_atomically(given.out, as_csv(rows(given)))
    except ReciprocamError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
