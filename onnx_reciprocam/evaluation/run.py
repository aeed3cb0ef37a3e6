"""The evaluation of a network's explanations over a data set."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import InputError, OptionError, SourceError
from onnx_reciprocam.evaluation.gallery import Gallery
from onnx_reciprocam.evaluation.lots import Run
from onnx_reciprocam.evaluation.protocol import PROTOCOLS, Protocol
from onnx_reciprocam.evaluation.records import Records
from onnx_reciprocam.evaluation.results import write_results
from onnx_reciprocam.evaluation.sources import read_source
from onnx_reciprocam.evaluation.subject import Subject
from onnx_reciprocam.evaluation.summary import summarise
from onnx_reciprocam.explainers import check_suited
from onnx_reciprocam.methods import find
from onnx_reciprocam.result_folder import locked
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.runtime.opening import quiet

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    import onnxruntime

    from onnx_reciprocam.evaluation.sample import Sample
    from onnx_reciprocam.evaluation.summary import Line
    from onnx_reciprocam.rewriter.network import Network

METHODS = ("reciprocam", "gradcam", "gradcam++", "layercam", "eigencam", "activation")
"""Those that are compared unless the caller names others: all of them one run each."""


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Args:
        lines: A line per method.
        rows: A row per picture and method.
        folder: Where all is written.
        failures: Pictures that could not be read or explained, with the reason.
    """

    lines: Sequence[Line]
    rows: Sequence[Mapping[str, Any]]
    folder: Path
    failures: Mapping[str, str]


def evaluate(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    methods: Sequence[str] = METHODS,
    protocol: Protocol | str = "default",
    annotations: str | os.PathLike[str] | None = None,
    labels: Sequence[str] = (),
    limit: int | None = None,
    preprocessing: Preprocessing | None = None,
    output: str | None = None,
    providers: Sequence[Any] | None = None,
    session_options: Any = None,
    progress: Callable[[int, int, str], object] = lambda _done, _total, _what: None,
    **options: Any,
) -> Evaluation:
    """Measure how well methods explain a network on a data set; a run that was cut short goes on where it stopped.

    Args:
        model: Path of a plain model.
        source: Pictures: see :func:`~.sources.read_source`.
        folder: Where results go: ``rows.jsonl`` as they come, then ``images.parquet``, ``summary.csv`` and ``report.html``.
        methods: Their names.
        protocol: What is measured, or the name of one of :data:`~.protocol.PROTOCOLS`.
        annotations: Where a data set keeps boxes and labels apart from its pictures.
        labels: Class names in order.
        limit: So many pictures at most, evenly spread over the data set.
        preprocessing: How pictures become the input; ImageNet's if None.
        output: The output to explain; the first that scores classes if None.
        providers: onnxruntime's execution providers.
        session_options: onnxruntime's ``SessionOptions``; if None, threads that do not spin, for pictures are read meanwhile.
        progress: Told how many of how many pictures times methods are done, and which is next.
        options: Of the methods, as :func:`~onnx_reciprocam.explainer` takes them.

    Raises:
        OptionError: A method, metric or option is unknown, or labels are to be explained and there are none.
        WriteError: The folder holds another evaluation, or another run is writing to it.
        ReciprocamError: The model or the source cannot be used.
    """
    methods, labels = _known_methods(methods), _named("labels", labels)
    check_suited(methods, options)
    chosen = PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol
    if chosen is None:
        raise OptionError("--protocol", str(protocol), tuple(PROTOCOLS))
    network = study(model, output, preprocessing.size if preprocessing else None)
    _check_inputs(network, labels)
    where = None if annotations is None else Path(annotations)
    samples = read_source(Path(source), annotations=where, labels=labels, classes=network.scores.classes)
    samples = _spread(samples, limit)
    _check_samples(samples, chosen, Path(source))
    subject = Subject(
        network,
        methods,
        chosen,
        options,
        preprocessing=preprocessing,
        providers=providers,
        session_options=session_options or _sleeping(),
    )
    folder = Path(folder)
    settings = {
        "model": network.model.sha256,
        "output": network.scores.output.name,
        "protocol": chosen.to_dict(),
        "options": {name: getattr(value, "value", value) for name, value in options.items() if value is not None},
        "preprocessing": (preprocessing or Preprocessing()).to_json(),
    }
    with locked(folder, "evaluate"):
        records = Records(folder, settings)
        earlier = _rows_of(samples, methods, records)
        run = Run(subject, chosen, records, Gallery(folder, earlier, methods), progress)
        run.all(samples, methods)
        rows = _rows_of(samples, methods, records)
        failures = {row["path"]: row["error"] for row in rows if row.get("error")}
        found = Evaluation(summarise(rows, methods, chosen.metrics), rows, folder, failures)
        run.redraw({sample.key: sample for sample in samples})
        write_results(found, network.model.name, chosen, labels, run.gallery)
    return found


def _known_methods(given: Sequence[str]) -> tuple[str, ...]:
    """Each once."""
    names = tuple(dict.fromkeys(_named("--methods", given)))
    if not names:
        raise OptionError("--methods", "", ("one method or more",))
    for name in names:
        find(name, "--methods")
    return names


def _named(option: str, given: Sequence[str]) -> tuple[str, ...]:
    """Several names; one alone would be taken for its letters."""
    if isinstance(given, str):
        raise OptionError(option, given, ("a list of names",))
    return tuple(given)


def _sleeping() -> onnxruntime.SessionOptions:
    """Threads that wait asleep: spinning, they take the cores from those that read and compare."""
    options = quiet()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _check_inputs(network: Network, labels: Sequence[str]) -> None:
    """Pictures alone have to do, and names be as many as classes."""
    if others := [name for name in network.shapes.inputs if name != network.image.name]:
        raise InputError(
            others[0], "pictures cannot fill it; only models whose one input is the picture are evaluated."
        )
    if labels and network.scores.classes not in {None, len(labels)}:
        raise InputError(
            "labels", f"{len(labels)} names for {network.scores.classes} classes; one name per class, in order."
        )


def _check_samples(samples: Sequence[Sample], protocol: Protocol, source: Path) -> None:
    """What the protocol measures has to be known of them."""
    if protocol.explained == "label" and any(sample.label is None for sample in samples):
        raise OptionError("--explain", "label", ("predicted, since some pictures have no label",))
    pointing = set(protocol.metrics) <= {"pointing", "energy"}
    if pointing and not any(sample.boxes or sample.mask or sample.problem for sample in samples):
        raise SourceError(str(source), "no picture has a box or a mask, so there is nothing to point at; add --metrics")


def _rows_of(samples: Sequence[Sample], methods: Sequence[str], records: Records) -> list[dict[str, Any]]:
    """Those of this run's pictures, as it spells their paths, and methods; the folder may hold more."""
    paths = {sample.key: sample.spelled for sample in samples}
    own = (row for row in records.rows if row["sample"] in paths and row["method"] in methods)
    return [row | {"path": paths[row["sample"]]} for row in own]


def _spread(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    if limit is None:
        return list(samples)
    if not isinstance(limit, Integral) or limit < 1:
        raise OptionError("--limit", str(limit), ("whole numbers from 1",))
    limit = min(int(limit), len(samples))
    return [samples[i * len(samples) // limit] for i in range(limit)]
