"""The evaluation of a network's explanations over a data set."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.errors import ImageError, InputError, OptionError, ReciprocamError, SourceError, WriteError
from onnx_reciprocam.evaluation.gallery import Gallery
from onnx_reciprocam.evaluation.measuring import measure
from onnx_reciprocam.evaluation.protocol import PROTOCOLS, Protocol
from onnx_reciprocam.evaluation.records import Records
from onnx_reciprocam.evaluation.results import write_results
from onnx_reciprocam.evaluation.sources import read_source
from onnx_reciprocam.evaluation.subject import Subject
from onnx_reciprocam.evaluation.summary import summarise
from onnx_reciprocam.methods import find
from onnx_reciprocam.result_folder import locked
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.work_ahead import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnx_reciprocam.evaluation.sample import Sample
    from onnx_reciprocam.evaluation.subject import Prepared
    from onnx_reciprocam.evaluation.summary import Line
    from onnx_reciprocam.rewriter.network import Network

LOT = 8
"""Pictures that are measured together: with deletion's steps they fill many runs of the network."""
READERS = 3
"""Threads that read the pictures of the next lot meanwhile."""
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
    for name in methods:
        find(name)
    chosen = PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol
    if chosen is None:
        raise OptionError("--protocol", str(protocol), tuple(PROTOCOLS))
    if not methods:
        raise OptionError("--methods", "", ("one method or more",))
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
        run = _Run(subject, chosen, records, Gallery(folder, earlier, methods), progress)
        run.all(samples, methods)
        rows = _rows_of(samples, methods, records)
        failures = {row["path"]: row["error"] for row in rows if row.get("error")}
        found = Evaluation(summarise(rows, methods, chosen.metrics), rows, folder, failures)
        run.redraw({key_of(sample): sample for sample in samples})
        write_results(found, network.model.name, chosen, labels, run.gallery)
    return found


def _sleeping() -> onnxruntime.SessionOptions:
    """Threads that wait asleep: spinning, they take the cores from those that read and compare."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised
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
    if pointing and not any(sample.boxes or sample.mask for sample in samples):
        raise SourceError(str(source), "no picture has a box or a mask, so there is nothing to point at; add --metrics")


def _rows_of(samples: Sequence[Sample], methods: Sequence[str], records: Records) -> list[dict[str, Any]]:
    """Those of this run's pictures and methods; the folder may hold more."""
    wanted = {key_of(sample) for sample in samples}
    return [row for row in records.rows if row["sample"] in wanted and row["method"] in methods]


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
    progress: Callable[[int, int, str], object]

    def all(self, samples: Sequence[Sample], methods: Sequence[str]) -> None:
        """Every picture that has no row yet."""
        done = self.records.done()
        left = [(s, [m for m in methods if (key_of(s), m) not in done]) for s in samples]
        total = len(samples) * len(methods)
        count = total - sum(len(missing) for _, missing in left)
        entries = [entry for entry in left if entry[1]]
        with closing(in_order(lambda entry: self._read(entry[0]), entries, READERS)) as reading:
            while lot := list(islice(reading, LOT)):
                pictures = self._predicted([picture for _, picture in lot])
                for method in methods:
                    wanted = [p for p, ((_, missing), _) in zip(pictures, lot, strict=True) if method in missing]
                    if wanted:
                        self.progress(count, total, method)
                        self.records.append(self._rows(wanted, method))
                        count += len(wanted)
        self.progress(count, total, "")

    def _read(self, sample: Sample) -> _Picture:
        """As the network takes it; if it cannot be read, why."""
        try:
            return _Picture(sample, self.subject.prepare(sample))
        except ReciprocamError as error:
            return _Picture(sample, None, error=_reason(error))

    def _predicted(self, pictures: Sequence[_Picture]) -> list[_Picture]:
        """With the class that the network predicts."""
        seen = [picture.prepared.image for picture in pictures if picture.prepared is not None]
        guesses = iter(self.subject.scores(np.stack(seen)).argmax(axis=1) if seen else [])
        return [p if p.prepared is None else replace(p, predicted=int(next(guesses))) for p in pictures]

    def redraw(self, samples: Mapping[str, Sample]) -> None:
        """Overlays of the gallery that are not there any more, as far as their pictures still are."""
        for row in self.gallery.missing():
            try:
                prepared = self.subject.prepare(samples[row["sample"]])
                ids = np.array([row["explained"]], np.int64)
                maps = self.subject.explain(row["method"], prepared.image[None], ids).maps
            except ReciprocamError:
                continue  # its figures stay, and are in every table
            self.gallery.draw(row, prepared.view, maps[0])
        self.gallery.close()

    def _rows(self, pictures: Sequence[_Picture], method: str) -> list[dict[str, Any]]:
        """Of one method; what goes wrong with a picture is its row."""
        rows = [_row(picture.sample, method, error=picture.error) for picture in pictures if picture.prepared is None]
        good = [picture for picture in pictures if picture.prepared is not None]
        try:
            return rows + (self._measured(good, method) if good else [])
        except WriteError:
            raise  # no picture is to blame
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
    mask = sample.mask and os.path.abspath(sample.mask)  # noqa: PTH100 - without ".." though files may be gone
    words = (os.path.abspath(sample.path), str(sample.label), str(mask), str(sample.boxes))  # noqa: PTH100 - likewise
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _row(sample: Sample, method: str, **values: Any) -> dict[str, Any]:
    return {"sample": key_of(sample), "path": str(sample.path), "label": sample.label, "method": method, **values}


def _reason(error: ReciprocamError) -> str:
    return error.reason if isinstance(error, ImageError) else str(error)
