"""One call for every method: what it gives back is called the same way, whatever happens inside."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import NoTargetError
from onnx_reciprocam.explainers.black_box import BlackBoxSession
from onnx_reciprocam.methods import BlackBox, Needs, find
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import Network, study
from onnx_reciprocam.rewriter.rewrite import rewrite_with
from onnx_reciprocam.runtime import ExplainedSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from onnx_reciprocam.contract import Preprocessing
    from onnx_reciprocam.graph import ModelSource
    from onnx_reciprocam.methods.black_box import ProgressFn

DEFAULT, FALLBACK = "reciprocam", "occlusion"
"""The method where none is named, and the one where that has no target."""


def explainer(
    model: ModelSource | Network,
    method: str | None = None,
    *,
    samples: int | None = None,
    seed: int | None = None,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
    providers: Sequence[Any] | None = None,
    session_options: Any = None,
    progress: ProgressFn = lambda _done, _total: None,
    tell: Callable[[str], object] = warnings.warn,
    **options: Any,
) -> ExplainedSession | BlackBoxSession:
    """A plain model with any method, ready to be called on batches and pictures.

    >>> explain = rc.explainer("resnet50.onnx", "rise", samples=1000)  # doctest: +SKIP
    >>> explain.explain_image("cat.jpg").save("cat.png")  # doctest: +SKIP

    Args:
        model: Path, bytes or ``ModelProto`` of a plain model; or what :func:`study` made of it, for several methods.
        method: Its name; ``reciprocam`` if None, or where the model has no target with cells ``occlusion``.
        samples: Masks, steps or draws, for methods that take them.
        seed: Of what is drawn at random, 0 if None.
        preprocessing: How a picture becomes the input.
        labels: Class names in order.
        providers: onnxruntime's execution providers; None for the CPU.
        session_options: onnxruntime's ``SessionOptions``.
        progress: Told how many inferences of an image are done, by black-box methods.
        tell: Told in a sentence when another method is taken than the default.
        options: As :func:`~onnx_reciprocam.rewrite` takes them; around a session ``target``, ``output``, ``score``,
            ``classes`` and ``normalize``.

    Raises:
        OptionError: An option means nothing to the method.
        ReciprocamError: The model cannot be read or explained.
    """
    running = _Running(samples, seed, preprocessing, labels, providers, session_options, progress)
    if method is not None:
        return _open(model, method, running, options)
    try:
        return _open(model, DEFAULT, running, options)
    except NoTargetError as error:
        if options.get("target") is not None:
            raise
        tell(f"{DEFAULT} cannot explain this model ({error}), so {FALLBACK} does, in many runs instead of one.")
        return _open(model, FALLBACK, running, suited(FALLBACK, options))


def suited(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those options that mean something to a method, where several share one list.

    Args:
        method: Its name.
        options: As :func:`explainer` takes them, ``samples`` and ``seed`` among them.
    """
    unsuited = find(method).unsuited()
    return {name: value for name, value in options.items() if name not in unsuited}


def check_suited(methods: Iterable[str], options: Mapping[str, Any]) -> None:
    """Refuse an option that means something to none of several methods.

    Args:
        methods: Their names.
        options: As :func:`explainer` takes them, ``samples`` and ``seed`` among them.

    Raises:
        OptionError: One of them would go nowhere.
    """
    kinds = [find(name) for name in methods]
    for option, value in options.items():
        if all(option in kind.unsuited() for kind in kinds):
            kinds[0].refuse({option: value})


@dataclass(frozen=True)
class _Running:
    """What is not an option of a rewrite."""

    samples: int | None
    seed: int | None
    preprocessing: Preprocessing | None
    labels: Sequence[str]
    providers: Sequence[Any] | None
    session_options: Any
    progress: ProgressFn


def _open(
    model: ModelSource | Network, name: str, running: _Running, options: dict[str, Any]
) -> ExplainedSession | BlackBoxSession:
    method = find(name)
    method.refuse({**options, "samples": running.samples, "seed": running.seed})
    if issubclass(method, BlackBox):
        return _around(_studied(model, running, options), method, running, options)
    return _rewritten(model, running, RewriteOptions.parse(**options, method=name))


def _studied(model: ModelSource | Network, running: _Running, options: dict[str, Any]) -> Network:
    size = running.preprocessing.size if running.preprocessing else None
    return model if isinstance(model, Network) else study(model, options.get("output"), size)


def _rewritten(model: ModelSource | Network, running: _Running, options: RewriteOptions) -> ExplainedSession:
    """Through a file, for a model in memory ends at 2 GB."""
    with TemporaryDirectory(prefix="reciprocam-") as temporary:
        path = Path(temporary) / "explained.onnx"
        rewrite_with(model, path, options, preprocessing=running.preprocessing, labels=running.labels)
        return ExplainedSession(path, providers=running.providers, session_options=running.session_options)


def _around(network: Network, method: type[BlackBox], running: _Running, options: dict[str, Any]) -> BlackBoxSession:
    parsed = RewriteOptions.parse(**options)
    target = None
    if Needs.CELLS in method.needs:
        target = network.find(parsed.target) if parsed.target else automatic(network)[0]
    return BlackBoxSession(
        network,
        method(running.samples),
        target=target,
        score=parsed.score if options.get("score") else None,
        classes=parsed.classes,
        normalize=parsed.normalize,
        seed=running.seed or 0,
        preprocessing=running.preprocessing,
        labels=running.labels,
        providers=running.providers,
        session_options=running.session_options,
        progress=running.progress,
    )
