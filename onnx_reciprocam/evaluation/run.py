"""The evaluation of a network's explanations over a data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import ImageError, OptionError, ReciprocamError
from onnx_reciprocam.evaluation.gallery import Gallery
from onnx_reciprocam.evaluation.measuring import measure
from onnx_reciprocam.evaluation.protocol import PROTOCOLS, Protocol
from onnx_reciprocam.evaluation.records import Records, locked
from onnx_reciprocam.evaluation.results import write_results
from onnx_reciprocam.evaluation.sources import read_source
from onnx_reciprocam.evaluation.subject import Subject
from onnx_reciprocam.evaluation.summary import summarise
from onnx_reciprocam.methods import find
from onnx_reciprocam.rewriter.network import study

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from onnx_reciprocam.evaluation.sample import Sample
    from onnx_reciprocam.evaluation.subject import Prepared
    from onnx_reciprocam.evaluation.summary import Line

LOT = 8
"""Pictures that are measured together: with deletion's steps they fill many runs of the network."""
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
        session_options: onnxruntime's ``SessionOptions``.
        progress: Told how many of how many pictures times methods are done, and which is next.
        options: Of the methods, as :func:`~onnx_reciprocam.explainer` takes them.

    Raises:
        OptionError: A method, metric or option is unknown, or labels are to be explained and there are none.
        WriteError: The folder holds another evaluation, or another run is writing to it.
        ReciprocamError: The model or the source cannot be used.
    """
    for name in methods:
        find(name)
    chosen = PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol
    if chosen is None:
        raise OptionError("--protocol", str(protocol), tuple(PROTOCOLS))
    network = study(model, output, preprocessing.size if preprocessing else None)
    where = None if annotations is None else Path(annotations)
    samples = read_source(Path(source), annotations=where, labels=labels, classes=network.scores.classes)
    samples = _spread(samples, limit)
    if chosen.explained == "label" and any(sample.label is None for sample in samples):
        raise OptionError("--explain", "label", ("predicted, since some pictures have no label",))
    subject = Subject(
        network,
        methods,
        chosen,
        options,
        preprocessing=preprocessing,
        providers=providers,
        session_options=session_options,
    )
    folder = Path(folder)
    settings = {
        "model": network.model.sha256,
        "protocol": chosen.to_dict(),
        "options": {name: getattr(value, "value", value) for name, value in options.items() if value is not None},
        "preprocessing": (preprocessing or Preprocessing()).to_json(),
    }
    with locked(folder):
        records = Records(folder, settings)
        run = _Run(subject, chosen, records, Gallery(folder, records.rows, methods), labels, progress)
        run.all(samples, methods)
        lines = summarise(run.rows(samples, methods), methods, chosen.metrics)
        failures = {row["path"]: row["error"] for row in run.rows(samples, methods) if row.get("error")}
        found = Evaluation(lines, run.rows(samples, methods), folder, failures)
        run.gallery.close()
        write_results(found, network.model.name, chosen, labels, run.gallery)
    return found


def _spread(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise OptionError("--limit", str(limit), ("whole numbers from 1",))
    return [samples[i * len(samples) // limit] for i in range(limit)]


@dataclass(frozen=True)
class _Run:
    """The pictures one after the other, in lots, under every method."""

    subject: Subject
    protocol: Protocol
    records: Records
    gallery: Gallery
    labels: Sequence[str]
    progress: Callable[[int, int, str], object]

    def all(self, samples: Sequence[Sample], methods: Sequence[str]) -> None:
        """Every picture that has no row yet."""
        done = self.records.done()
        left = [(s, [m for m in methods if (key_of(s), m) not in done]) for s in samples]
        total = len(samples) * len(methods)
        count = total - sum(len(missing) for _, missing in left)
        for lot in _lots([entry for entry in left if entry[1]]):
            pictures = self._prepared([sample for sample, _ in lot])
            for method in methods:
                wanted = [picture for picture, (_, missing) in zip(pictures, lot, strict=True) if method in missing]
                if wanted:
                    self.progress(count, total, method)
                    self.records.append(self._rows(wanted, method))
                    count += len(wanted)
        self.progress(count, total, "")

    def _prepared(self, samples: Sequence[Sample]) -> list[_Picture]:
        """What the network makes of them; of those that cannot be read, why."""
        pictures: list[_Picture] = []
        for sample in samples:
            try:
                pictures.append(_Picture(sample, self.subject.prepare(sample)))
            except ReciprocamError as error:  # noqa: PERF203 - each picture by itself
                pictures.append(_Picture(sample, None, error=_reason(error)))
        seen = [picture.prepared.image for picture in pictures if picture.prepared is not None]
        guesses = iter(self.subject.scores(np.stack(seen)).argmax(axis=1) if seen else [])
        return [p if p.prepared is None else replace(p, predicted=int(next(guesses))) for p in pictures]

    def rows(self, samples: Sequence[Sample], methods: Sequence[str]) -> list[dict[str, Any]]:
        """Those of this run's pictures and methods; the folder may hold more."""
        wanted = {key_of(sample) for sample in samples}
        return [row for row in self.records.rows if row["sample"] in wanted and row["method"] in methods]

    def _rows(self, pictures: Sequence[_Picture], method: str) -> list[dict[str, Any]]:
        """Of one method; what goes wrong with a picture is its row."""
        rows = [_row(picture.sample, method, error=picture.error) for picture in pictures if picture.prepared is None]
        good = [picture for picture in pictures if picture.prepared is not None]
        try:
            return rows + (self._measured(good, method) if good else [])
        except ReciprocamError as error:
            if len(good) == 1:
                return [*rows, _row(good[0].sample, method, error=_reason(error))]
        return rows + [row for picture in good for row in self._rows([picture], method)]  # one of them is to blame

    def _measured(self, pictures: Sequence[_Picture], method: str) -> list[dict[str, Any]]:
        by_label = self.protocol.explained == "label"
        classes = [p.sample.label if by_label and p.sample.label is not None else p.predicted for p in pictures]
        pointed = [p.sample.label in {None, c} for p, c in zip(pictures, classes, strict=True)]
        prepared = [picture.prepared for picture in pictures if picture.prepared is not None]
        ids = np.array(classes, np.int64)
        values, maps = measure(self.subject, method, prepared, ids, pointed=pointed, protocol=self.protocol)
        rows = []
        for picture, own, saliency, c in zip(pictures, values, maps, classes, strict=True):
            row = _row(picture.sample, method, explained=c, predicted=picture.predicted, **own)
            if picture.prepared is not None:
                self.gallery.show(row, picture.prepared.view, saliency)
            rows.append(row)
        return rows


@dataclass(frozen=True)
class _Picture:
    """A sample as the network takes it, or why it does not."""

    sample: Sample
    prepared: Prepared | None
    predicted: int = -1
    error: str = ""


def key_of(sample: Sample) -> str:
    """What tells a sample from all others, however the source was named."""
    words = (str(sample.path.absolute()), str(sample.label), str(sample.mask), str(sample.boxes))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _row(sample: Sample, method: str, **values: Any) -> dict[str, Any]:
    return {"sample": key_of(sample), "path": str(sample.path), "label": sample.label, "method": method, **values}


def _reason(error: ReciprocamError) -> str:
    return error.reason if isinstance(error, ImageError) else str(error)


def _lots(entries: Sequence[tuple[Sample, list[str]]]) -> Iterator[Sequence[tuple[Sample, list[str]]]]:
    for start in range(0, len(entries), LOT):
        yield entries[start : start + LOT]
