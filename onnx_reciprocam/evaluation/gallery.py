"""The best and the worst pictures of each method, kept while the evaluation goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam import visualise
from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.metrics import adcc
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from onnx_reciprocam.runtime.images import Picture

KEPT = 4
"""Pictures at either end."""
FOLDER = "pictures"


class Shown(NamedTuple):
    """A picture of the gallery: its merit, its row, and its file's name."""

    merit: float
    row: Mapping[str, Any]
    file: str


class Gallery:
    """Overlays on disk, at most twice :data:`KEPT` per method.

    Args:
        folder: Of the evaluation.
        rows: Those that earlier runs left, most often with their overlays.
        methods: Whose.
    """

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, Any]], methods: Sequence[str]) -> None:
        self._folder = folder / FOLDER
        self._shown: dict[str, list[Shown]] = {method: [] for method in methods}
        for row in rows:
            self._keep(row)

    def show(self, row: Mapping[str, Any], seen: Picture, saliency: NDArray[np.floating]) -> None:
        """Write the overlay of a row if it is among the best or the worst so far.

        Args:
            row: The picture's metrics.
            seen: What the network sees of the picture, as large as it is drawn.
            saliency: Its map, ``[h, w]``.

        Raises:
            WriteError: The disk is full, or the like.
        """
        if self._keep(row):
            self.draw(row, seen, saliency)

    def draw(self, row: Mapping[str, Any], seen: Picture, saliency: NDArray[np.floating]) -> None:
        """Write the overlay of a row; arguments and errors are those of :meth:`show`."""
        drawn = visualise.overlay(seen, saliency.astype(np.float32), 0.7)
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise WriteError(str(self._folder), (error.strerror or str(error)).lower()) from error
        write_atomically(self._folder / _file(row), visualise.encode(drawn, ".jpg"))

    def missing(self) -> list[Mapping[str, Any]]:
        """Rows of the gallery whose overlay is not on disk: somebody removed it, or it was none of an earlier run's."""
        shown = [shown for method in self._shown for end in self.ends(method) for shown in end]
        return [each.row for each in shown if not (self._folder / each.file).is_file()]

    def ends(self, method: str) -> tuple[list[Shown], list[Shown]]:
        """The best, best first, and the worst, worst first; no picture is in both."""
        ordered = sorted(self._shown[method], key=lambda shown: -shown.merit)
        best = min(KEPT, (len(ordered) + 1) // 2)
        return ordered[:best], ordered[best:][::-1][:KEPT]

    def close(self) -> None:
        """Drop the files of these methods that are in no gallery any more, and pictures that are no longer there."""
        for method, every in self._shown.items():
            self._shown[method] = [shown for shown in every if (self._folder / shown.file).is_file()]
            kept = {shown.file for shown in self._shown[method]}
            for path in self._folder.glob(f"*-{_spelled(method)}.jpg"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _keep(self, row: Mapping[str, Any]) -> bool:
        """Whether it is among the best or the worst, which it is then counted to."""
        if row.get("error") or row["method"] not in self._shown:
            return False
        every = self._shown[row["method"]]
        if any((each.row["path"], each.row["explained"]) == (row["path"], row["explained"]) for each in every):
            return False  # the picture again, with another label
        shown = Shown(merit(row), row, _file(row))
        ordered = sorted([*every, shown], key=lambda each: -each.merit)
        kept = ordered if len(ordered) <= 2 * KEPT else [*ordered[:KEPT], *ordered[-KEPT:]]
        self._shown[row["method"]] = kept
        return any(each is shown for each in kept)


def merit(row: Mapping[str, Any]) -> float:
    """One number that says how good a picture's map is, of what was measured: its own ADCC, or insertion over deletion."""
    parts = [row.get(name) for name in ("drop", "coherency", "complexity")]
    if None not in parts:
        return adcc(*(min(max(float(part), 0.0), 1.0) for part in parts if part is not None))
    if row.get("insertion") is not None and row.get("deletion") is not None:
        return float(row["insertion"] - row["deletion"])
    values = [row[name] for name in ("energy", "pointing", "insertion") if row.get(name) is not None]
    return float(values[0]) if values else -float(row.get("complexity") or 0)


def _file(row: Mapping[str, Any]) -> str:
    return f"{row['sample']}-{_spelled(row['method'])}.jpg"


def _spelled(method: str) -> str:
    return method.replace("+", "p")
