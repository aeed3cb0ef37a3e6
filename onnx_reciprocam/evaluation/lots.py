"""The pictures of an evaluation, in lots, under every method."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import ImageError, ReciprocamError, WriteError
from onnx_reciprocam.evaluation.measuring import measure
from onnx_reciprocam.work_ahead import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onnx_reciprocam.evaluation.gallery import Gallery
    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.records import Records
    from onnx_reciprocam.evaluation.sample import Sample
    from onnx_reciprocam.evaluation.subject import Prepared, Subject

LOT = 8
"""Pictures that are measured together: with deletion's steps they fill many runs of the network."""
READERS = 3
"""Threads that read the pictures of the next lot meanwhile."""


@dataclass(frozen=True)
class Run:
    """The pictures one after the other, in lots, under every method."""

    subject: Subject
    protocol: Protocol
    records: Records
    gallery: Gallery
    progress: Callable[[int, int, str], object]

    def all(self, samples: Sequence[Sample], methods: Sequence[str]) -> None:
        """Every picture that has no row yet."""
        done = self.records.done()
        left = [(s, [m for m in methods if (s.key, m) not in done]) for s in samples]
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
            return _Picture(sample, None, error=_reason(error, sample))

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
            self.gallery.draw(row, prepared.seen, maps[0])
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
                return [*rows, _row(good[0].sample, method, error=_reason(error, good[0].sample))]
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
                self.gallery.show(row, picture.prepared.seen, saliency)
            rows.append(row)
        return rows


@dataclass(frozen=True)
class _Picture:
    """A sample as the network takes it, or why it does not."""

    sample: Sample
    prepared: Prepared | None
    predicted: int = -1
    error: str = ""


def _row(sample: Sample, method: str, **values: Any) -> dict[str, Any]:
    return {"sample": sample.key, "path": sample.spelled, "label": sample.label, "method": method, **values}


def _reason(error: ReciprocamError, sample: Sample) -> str:
    """Without the picture's name, which stands before it wherever it is shown; a mask's name stays."""
    return error.reason if isinstance(error, ImageError) and error.source == str(sample.path) else str(error)
