"""Plain against explained, in one run: the time of a call, and the memory of a process that makes it.

What makes the numbers comparable: the variants take turns, in every order, on the same inputs, so that a machine that
slows down hits all of them; their threads sleep between turns; and each has its peak memory measured in a fresh process.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from onnx_reciprocam.benchmark.field import Field, check_counts, inputs_of, known_providers
from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.model_run import ModelRun
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.rewriter.splice import splice
from onnx_reciprocam.timings import Benchmark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx_reciprocam.graph import ModelSource


def bench(
    model: ModelSource,
    *,
    target: str | None = None,
    method: str = "reciprocam",
    mask: str = "pixel",
    vit_mask: str = "residual",
    score: str = "logit",
    classes: str = "predicted",
    max_memory: str | None = None,
    batch: int | None = None,
    threads: int = 2,
    runs: int = 15,
    warmup: int = 3,
    naive: bool = True,
    output: str | None = None,
    size: tuple[int, int] | None = None,
    providers: Sequence[str] | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> Benchmark:
    """Rewrite a plain model in memory, and time it with and without maps on seeded noise.

    Args:
        model: Path, bytes or ``ModelProto``.
        target: Node or tensor whose cells are masked; the last one possible if None.
        method: One that is spliced into the file; only ``reciprocam`` has a naive way.
        mask: ``pixel``, ``gaussian`` or ``replicated``.
        vit_mask: ``residual`` or ``post-norm``.
        score: ``logit`` or ``probability``.
        classes: ``predicted``, ``all``, ``top:K`` or ``input``; for the last, one class per image is asked for.
        max_memory: What the maps of one image may add to a run, as ``rewrite`` takes it; the naive way has no limit.
        batch: Images per run; None for 1, or what the model fixes.
        threads: Within an operator (onnxruntime's ``intra_op_num_threads``).
        runs: Of each variant.
        warmup: Runs of each variant before those.
        naive: Also time the naive explanation, unless that takes more than :data:`~.field.COST_LIMIT` or the free memory.
        output: The output to explain; the first that scores classes if None.
        size: Height and width of the images where the model leaves them open.
        providers: onnxruntime's execution providers; None for the CPU. Peak memory is the host's in any case.
        progress: Told what happens next.

    Raises:
        OptionError: An option has a value it does not take.
        ReciprocamError: The model cannot be read, rewritten or run, or temporary files cannot be written.
    """
    check_counts(batch=batch, threads=threads, runs=runs, warmup=warmup)
    used = known_providers(providers)
    options = RewriteOptions.parse(
        method=method, mask=mask, vit_mask=vit_mask, score=score, classes=classes, max_memory=max_memory
    )
    progress("Rewriting")
    network = study(model, output, size)
    chosen = network.find(target) if target else automatic(network)[0]
    inputs = inputs_of(network, batch)
    with TemporaryDirectory(prefix="reciprocam-bench-") as folder:
        field = Field(network, ModelRun(folder, inputs, threads, used), progress)
        field.enter("plain", network.model.proto, inputs)
        spliced = splice(network, chosen, options)
        field.enter_explained("explained", spliced)
        skipped = "not asked for" if not naive else f"{method} has none"
        if naive and method == RewriteOptions.method:
            skipped = field.enter_naive(chosen, options)
        variants = field.race(warmup, runs)
    return Benchmark(
        model=network.model.name,
        target=chosen.tensor.name,
        grid=chosen.seen_grid,
        multiply_adds=1 + spliced.cost / max(spliced.plain_cost, 1),
        inputs={name: tuple(shape) for name, (_, shape) in inputs.items()},
        threads=threads,
        warmup=warmup,
        providers=used,
        plain=variants["plain"],
        explained=variants["explained"],
        naive=variants.get("naive"),
        naive_skipped=skipped,
    )
