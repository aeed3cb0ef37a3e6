"""Methods against each other and the plain model, in one run."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.benchmark.field import Field, check_counts, inputs_of, known_providers
from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.explainers import check_suited, explainer, suited
from onnx_reciprocam.methods import BlackBox, find
from onnx_reciprocam.model_run import ModelRun
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.rewriter.splice import splice
from onnx_reciprocam.timings import quartiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx_reciprocam.explainers import BlackBoxSession
    from onnx_reciprocam.graph import ModelSource
    from onnx_reciprocam.runtime import ExplainedSession

PLAIN = "plain"
BESIDE = 5
"""Plain runs on either side of a black box's run, which is compared with their median."""


@dataclass(frozen=True)
class MethodTime:
    """What one method took to explain one image.

    Args:
        method: Its name; ``plain`` for the model without maps.
        milliseconds: Of each run.
        ratios: Each run's time over that of the plain model beside it.
        inferences: Runs of the plain model in it: 1 for what is spliced into the file.
        peak_mb: Most memory (10^6 bytes) of a process that loads the file and runs it twice; None for black boxes.
    """

    method: str
    milliseconds: tuple[float, ...]
    ratios: tuple[float, ...]
    inferences: int
    peak_mb: float | None

    @property
    def median(self) -> float:
        """Milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def ratio(self) -> float:
        """Times the plain model's time: the median of the runs' own ratios."""
        return statistics.median(self.ratios)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON."""
        return asdict(self) | {"median_ms": self.median, "ratio": self.ratio, "quartiles": quartiles(self.ratios)}


def compare(
    model: ModelSource,
    methods: Sequence[str],
    *,
    threads: int = 2,
    runs: int = 15,
    around: int = 1,
    warmup: int = 3,
    output: str | None = None,
    size: tuple[int, int] | None = None,
    providers: Sequence[str] | None = None,
    progress: Callable[[str], object] = lambda _: None,
    **options: Any,
) -> list[MethodTime]:
    """Time methods on one image of seeded noise.

    What is spliced into the file takes turns with the plain model. A black box takes minutes, so it is run ``around``
    times, plain runs on either side.

    Args:
        model: Path, bytes or ``ModelProto`` of a plain model.
        methods: Their names.
        threads: Within an operator.
        runs: Of the plain model and of each spliced method.
        around: Of each black box.
        warmup: Runs before those.
        output: The output to explain; the first that scores classes if None.
        size: Height and width of the image where the model leaves them open.
        providers: onnxruntime's execution providers; None for the CPU.
        progress: Told what happens next.
        options: As :func:`~onnx_reciprocam.rewrite` takes them, with ``samples`` and ``seed``; each goes to the methods
            that it means something to.

    Returns:
        The plain model first, then the methods in their order.

    Raises:
        OptionError: An option has a value it does not take.
        ReciprocamError: The model cannot be read or explained by one of the methods.
    """
    check_counts(batch=1, threads=threads, runs=runs, warmup=warmup)
    if around < 1:
        raise OptionError("--around", str(around), ("whole numbers from 1",))
    kinds = {name: find(name) for name in methods}
    check_suited(kinds, options)
    boxes = [name for name, kind in kinds.items() if issubclass(kind, BlackBox)]
    used = known_providers(providers)
    progress("Reading")
    network = study(model, output, size)
    how = {name: {key: value for key, value in suited(name, options).items() if value is not None} for name in kinds}
    inputs = inputs_of(network, None)
    with TemporaryDirectory(prefix="reciprocam-bench-") as folder:
        blank = ModelRun(folder, inputs, threads, used)
        field = Field(network, blank, progress)
        field.enter(PLAIN, network.model.proto, inputs)
        for name in [name for name in kinds if name not in boxes]:
            parsed = RewriteOptions.parse(**how[name], method=name)
            target = network.find(parsed.target) if parsed.target else automatic(network, parsed.mask)[0]
            field.enter_explained(name, splice(network, target, parsed))
        variants = field.race(warmup, runs)
        found = {
            name: MethodTime(name, variant.milliseconds, variant.ratios(variants[PLAIN]), 1, variant.peak_mb)
            for name, variant in variants.items()
        }
        plain = field.start(PLAIN)
        for name in boxes:
            progress(f"{name}, around the session")
            session = explainer(network, name, session_options=blank.options(), providers=used, **how[name])
            found[name] = _around(session, blank, plain, around)
    return [found[name] for name in (PLAIN, *kinds)]


def _around(
    session: ExplainedSession | BlackBoxSession, blank: ModelRun, plain: Callable[[], object], runs: int
) -> MethodTime:
    """A black box between plain runs."""
    feeds: dict[str, Any] = blank.feeds()
    image = feeds.pop(session.image.name)
    times, ratios, inferences = [], [], 1
    for _ in range(runs):
        beside = [_timed(plain) for _ in range(BESIDE)]
        start = time.perf_counter()
        result = session(image[:1], **feeds)
        times.append((time.perf_counter() - start) * 1000)
        beside += [_timed(plain) for _ in range(BESIDE)]
        ratios.append(times[-1] / statistics.median(beside))
        inferences = result.inferences
    return MethodTime(result.method, tuple(times), tuple(ratios), inferences, None)


def _timed(run: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000
