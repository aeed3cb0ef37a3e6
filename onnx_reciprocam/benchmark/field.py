"""The variants of a benchmark: each in a file of its own, each tried alone, then all in turns."""

from __future__ import annotations

import itertools
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime as ort

from onnx_reciprocam.contract import CLASS_IDS_INPUT
from onnx_reciprocam.errors import ModelFileError, OptionError
from onnx_reciprocam.graph import descendants, input_specs, save
from onnx_reciprocam.rewriter.splice import splice
from onnx_reciprocam.timings import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.contract import RewriteOptions
    from onnx_reciprocam.model_run import Inputs, ModelRun
    from onnx_reciprocam.rewriter.network import Network, Target
    from onnx_reciprocam.rewriter.spliced import Spliced

COST_LIMIT = 200
"""The naive explanation is left out above so many times the plain model's multiply-adds: it would take minutes."""
LIVE = 4
"""Memory of a tail over that of its widest node: 1.6 to 4.2 measured, for what lives beside it and what is rounded up."""
MEMORY = Path("/proc/meminfo")
"""Where Linux tells how much memory is free."""


def take_turns(
    variants: Mapping[str, Callable[[], object]], rounds: int, progress: Callable[[str], object]
) -> dict[str, list[float]]:
    """Milliseconds of every run: each variant once per round, the rounds in every order of the variants in turn."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    orders = itertools.cycle(itertools.permutations(variants))
    for done, order in enumerate(itertools.islice(orders, rounds), start=1):
        progress(f"Round {done} of {rounds}")
        for name in order:
            start = time.perf_counter()
            variants[name]()
            times[name].append((time.perf_counter() - start) * 1000)
    return times


class Field:
    """The variants that have shown that they run, each alone in a process of its own.

    Args:
        network: The plain model.
        blank: What the variants have in common; its path is the folder that they are written to.
        progress: Told what happens next.
    """

    def __init__(self, network: Network, blank: ModelRun, progress: Callable[[str], object]) -> None:
        self._network, self._blank, self._progress = network, blank, progress
        self._runs: dict[str, ModelRun] = {}
        self._peaks: dict[str, float | None] = {}

    def enter(self, name: str, model: onnx.ModelProto, inputs: Inputs) -> None:
        """Write a model, and run it alone.

        Raises:
            WriteError: The folder is full.
            ModelFileError: The model does not run.
        """
        self._progress(f"Memory of {name}")
        path = Path(self._blank.path) / f"{name}.onnx"
        save(model, path, source_folder=self._network.model.folder)
        run = replace(self._blank, path=str(path), inputs=inputs)
        self._peaks[name] = run.peak_alone(f"{self._network.model.name} ({name})")
        self._runs[name] = run

    def enter_explained(self, name: str, spliced: Spliced) -> None:
        """Likewise; a model that wants class ids gets one per image."""
        inputs = dict(self._blank.inputs)
        if (ids := spliced.contract.inputs.get(CLASS_IDS_INPUT)) is not None:
            inputs[ids] = ("int64", (self._images, 1))
        self.enter(name, spliced.model, inputs)

    def enter_naive(self, target: Target, options: RewriteOptions) -> str:
        """The naive explanation if it can be afforded; otherwise why it cannot."""
        naive = splice(self._network, target, options, naive=True)
        times = naive.cost / max(naive.plain_cost, 1)
        if times > COST_LIMIT:
            return f"it takes {times:,.0f} times the plain model's multiply-adds; the limit is {COST_LIMIT}"
        needed = _bytes_of_copies(self._network, target) * self._images / self._network.batch
        if needed > (free := free_bytes()):
            return f"its copies take about {needed / 1e9:,.3g} GB; {free / 1e9:,.3g} GB of memory are free"
        try:
            self.enter_explained("naive", naive)
        except ModelFileError as error:  # most likely it ran out of memory after all
            return str(error)
        return ""

    def start(self, name: str) -> Callable[[], object]:
        """What runs a variant once."""
        return self._runs[name].start()

    def race(self, warmup: int, runs: int) -> dict[str, Variant]:
        """Time all that have entered."""
        times = take_turns({name: run.start() for name, run in self._runs.items()}, warmup + runs, self._progress)
        return {name: Variant(name, tuple(times[name][warmup:]), peak) for name, peak in self._peaks.items()}

    @property
    def _images(self) -> int:
        return self._blank.inputs[self._network.image.name][1][0]


def _bytes_of_copies(network: Network, target: Target) -> int:
    """About what one copy of the tail per cell holds at its widest, for the probed batch."""
    nodes, seen = network.model.graph.nodes, network.shapes.seen
    behind = descendants(nodes, [target.tensor.name])

    def size(tensor: gs.Tensor) -> int:
        return math.prod(seen[tensor.name]) * network.dtype(tensor).itemsize

    tensors = ([t for t in (*node.inputs, *node.outputs) if t.name in behind and t.name in seen] for node in nodes)
    return LIVE * target.cells * max(sum(map(size, around)) for around in tensors)


def free_bytes() -> float:
    """Memory that can be had without swapping; no end of it where the system does not tell."""
    try:
        match = re.search(r"MemAvailable:\s+(\d+) kB", MEMORY.read_text())
    except OSError:
        match = None
    return int(match[1]) * 1024 if match else math.inf


def inputs_of(network: Network, batch: int | None) -> dict[str, tuple[str, Sequence[int]]]:
    """Type and shape of every input, as probed, with ``batch`` images where that is open."""
    shapes, image = network.shapes, network.image.name
    fixed = shapes.static(image)[0]
    if fixed is not None and batch not in {None, fixed}:
        raise OptionError("--batch", str(batch), (f"{fixed}, which this model fixes",))
    inputs: dict[str, tuple[str, Sequence[int]]] = {}
    for spec in input_specs(network.model):
        first = [batch or 1] if shapes.static(spec.name)[:1] == (None,) else shapes.inputs[spec.name][:1]
        kind = onnx.helper.tensor_dtype_to_np_dtype(spec.elem_type).name
        inputs[spec.name] = (kind, (*first, *shapes.inputs[spec.name][1:]))
    return inputs


def check_counts(*, batch: int | None, threads: int, runs: int, warmup: int) -> None:
    """Refuse numbers of images, threads and runs that make no sense."""
    for option, count, least in (
        ("batch", batch, 1),
        ("threads", threads, 1),
        ("runs", runs, 1),
        ("warmup", warmup, 0),
    ):
        if count is not None and count < least:
            raise OptionError(f"--{option}", str(count), (f"whole numbers from {least}",))


def known_providers(providers: Sequence[str] | None) -> tuple[str, ...]:
    """Those of onnxruntime's execution providers, or the CPU's."""
    available = ort.get_available_providers()
    for provider in providers or ():
        if provider not in available:
            raise OptionError("--provider", provider, available)
    return tuple(providers or ["CPUExecutionProvider"])
