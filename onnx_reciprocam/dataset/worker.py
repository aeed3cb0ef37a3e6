"""From a few items to their rows: read, decode, prepare, run once, tell."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnx_reciprocam import visualise
from onnx_reciprocam.dataset.rows import explained_row, readable
from onnx_reciprocam.errors import ImageError, ReciprocamError, WriteError
from onnx_reciprocam.explainers import BlackBoxSession
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.explanation import View
from onnx_reciprocam.runtime.images import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.dataset.items import Item
    from onnx_reciprocam.dataset.recipe import Session
    from onnx_reciprocam.dataset.rows import Row
    from onnx_reciprocam.runtime import Explanation

OVERLAYS = "overlays"


class Lot(NamedTuple):
    """Items that are run together.

    Args:
        part: Which part of the results they belong to.
        first: Which row of the part the first one is.
        items: They.
    """

    part: int
    first: int
    items: tuple[Item, ...]


class _Read(NamedTuple):
    """An item that is a picture: its place in the lot, the bytes' hash, the network's input, what it shows of what."""

    place: int
    digest: str
    image: NDArray[np.float32]
    view: View


class Worker:
    """One explainer, called from any number of threads.

    Args:
        session: Itself.
        class_ids: The classes to explain, where it wants them told.
        folder: Where overlays go; None for none.
    """

    def __init__(self, session: Session, class_ids: Sequence[int] = (), folder: Path | None = None) -> None:
        self.session, self.class_ids, self._folder = session, list(class_ids), folder

    def explain(self, lot: Lot) -> list[Row]:
        """A row per item; one that fails is a row with its reason, and leaves the others alone.

        The rows depend on nothing but the lot: the same items in the same order give the same bits.

        Raises:
            WriteError: An overlay cannot be written.
        """
        rows: list[Row] = [{"path": readable(item.name)} for item in lot.items]
        pictures: list[_Read] = []
        for place, item in enumerate(lot.items):
            try:
                pictures.append(self._read(place, item))
            except ReciprocamError as error:  # noqa: PERF203 - each picture by itself
                rows[place]["error"] = _reason(error)
        for picture in pictures:
            rows[picture.place]["sha256"] = picture.digest
        if pictures:
            self._explained(lot, pictures, rows)
        return rows

    def run(self, images: NDArray[np.float32]) -> Explanation:
        """One run on any number of prepared images, as many at most as the model takes."""
        count = len(images)
        if missing := (self.session.image.shape[0] or count) - count:
            images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        return self.session(images, class_ids=[self.class_ids] * len(images) if self.class_ids else None)

    def _read(self, place: int, item: Item) -> _Read:
        data = item.read()
        try:
            picture = read_image(data)
        except ImageError as error:
            raise ImageError(item.name, error.reason) from error
        image, view = self.session.prepare(picture)
        if not self.draws and not isinstance(self.session, BlackBoxSession):  # only its size is asked for later
            view = View(np.broadcast_to(np.uint8(0), picture.shape), view.region)
        return _Read(place, hashlib.sha256(data).hexdigest(), image, view)

    @property
    def draws(self) -> bool:
        """Whether it draws overlays."""
        return self._folder is not None

    def _explained(self, lot: Lot, pictures: Sequence[_Read], rows: list[Row]) -> None:
        """Fill in their rows; where a run of several fails, one of them is to blame."""
        try:
            result = self._result(pictures)
        except ReciprocamError as error:
            if len(pictures) == 1:
                rows[pictures[0].place]["error"] = _reason(error)
                return
            for picture in pictures:
                self._explained(lot, [picture], rows)
            return
        for index, picture in enumerate(pictures):
            row = rows[picture.place]
            if not np.isfinite(result.saliency[index]).all():
                row["error"] = "its map has NaN or infinite numbers: the network overflows on it"
                continue
            row |= explained_row(result, index, picture.view)
            if self._folder is not None:
                row["overlay"] = self._draw(lot, picture, result, index)

    def _result(self, pictures: Sequence[_Read]) -> Explanation:
        if isinstance(self.session, BlackBoxSession):  # may look at the picture itself
            return self.session.explain_image(pictures[0].view.picture, class_ids=self.class_ids or None)
        return self.run(np.concatenate([picture.image for picture in pictures]))

    def _draw(self, lot: Lot, picture: _Read, result: Explanation, index: int) -> str:
        """The best-scored class over the picture; its file's name from the folder of the results."""
        name = f"{OVERLAYS}/{lot.part:06d}/{lot.first + picture.place:06d}.jpg"
        saliency = result.saliency[index, result.ranked(index)[0]]
        drawn = visualise.overlay(picture.view.picture, saliency, 0.5, picture.view.region)
        path = Path(self._folder or ".") / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(str(path.parent), (error.strerror or str(error)).lower()) from error
        write_atomically(path, visualise.encode(drawn, ".jpg"))
        return name


def _reason(error: ReciprocamError) -> str:
    reason = error.reason if isinstance(error, ImageError) else str(error)
    return " ".join(readable(reason).split())
