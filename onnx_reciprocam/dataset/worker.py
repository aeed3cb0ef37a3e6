"""From a few items to their rows: read, decode, prepare, run once, tell."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnx_reciprocam import visualise
from onnx_reciprocam.dataset.rows import explained_row, readable
from onnx_reciprocam.errors import ImageError, ReciprocamError, WriteError
from onnx_reciprocam.explainers import BlackBoxSession
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.images import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from onnx_reciprocam.dataset.items import Item
    from onnx_reciprocam.dataset.recipe import Session
    from onnx_reciprocam.dataset.rows import Row
    from onnx_reciprocam.runtime import Explanation
    from onnx_reciprocam.runtime.images import Picture
    from onnx_reciprocam.visualise import Region

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
    """An item that is a picture.

    Args:
        place: In the lot.
        digest: Of the bytes.
        image: The network's input.
        size: Height and width of the picture.
        region: What of it the network sees.
        picture: Itself, where anybody still wants it.
    """

    place: int
    digest: str
    image: NDArray[np.float32]
    size: tuple[int, int]
    region: Region
    picture: Picture | None


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
        kept = picture if self.draws or isinstance(self.session, BlackBoxSession) else None
        digest = hashlib.sha256(data).hexdigest()
        return _Read(place, digest, image, (picture.shape[0], picture.shape[1]), view.region, kept)

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
            if not (np.isfinite(result.saliency[index]).all() and np.isfinite(result.predictions[index]).all()):
                row["error"] = "its scores or map have NaN or infinite numbers: the network overflows on it"
                continue
            row |= explained_row(result, index, picture.size, picture.region)
            if self._folder is not None and picture.picture is not None:
                path = f"{OVERLAYS}/{lot.part:06d}/{lot.first + picture.place:06d}.jpg"
                best = result.saliency[index, result.ranked(index)[0]]
                drawn = visualise.overlay(picture.picture, best, 0.5, picture.region)
                _write(self._folder / path, visualise.encode(drawn, ".jpg"))
                row["overlay"] = path

    def _result(self, pictures: Sequence[_Read]) -> Explanation:
        if isinstance(self.session, BlackBoxSession) and pictures[0].picture is not None:  # may look at the picture
            return self.session.explain_image(pictures[0].picture, class_ids=self.class_ids or None)
        return self.run(np.concatenate([picture.image for picture in pictures]))


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(str(path.parent), (error.strerror or str(error)).lower()) from error
    write_atomically(path, data)


def _reason(error: ReciprocamError) -> str:
    reason = error.reason if isinstance(error, ImageError) else str(error)
    return " ".join(readable(reason).split())
