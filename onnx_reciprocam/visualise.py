"""Saliency maps as pictures: arrays in, arrays out.

Every picture here is RGB, uint8, ``[H, W, 3]``.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Picture = NDArray[np.uint8]

COLORMAPS = {
    "turbo": cv2.COLORMAP_TURBO,
    "inferno": cv2.COLORMAP_INFERNO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "jet": cv2.COLORMAP_JET,
}
"""Colour maps by name. Turbo is jet without jet's false edges (Mikhailov, Google AI Blog, 2019)."""

UNSEEN = 0.5
"""Brightness left to the pixels outside the region that the network saw."""

PANEL = 448
"""Pixels of the longer side of a panel of :func:`caption`, so that its text fits pictures of any size."""

PER_ROW = 4
"""Panels side by side; more go on below."""

_MARGIN = 12
_LINE = 26
_INK = (32, 32, 32)
_PAPER = 255
_FONT, _FONT_SCALE, _STROKE = cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1


class Region(NamedTuple):
    """A rectangle of a picture, in its pixels; edges may lie inside a pixel."""

    top: float
    left: float
    height: float
    width: float

    @classmethod
    def whole(cls, picture: Picture) -> Region:
        """All of ``picture``."""
        return cls(0, 0, *picture.shape[:2])

    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns nearest to it, at least one of each."""
        top, left = round(self.top), round(self.left)
        bottom, right = round(self.top + self.height), round(self.left + self.width)
        return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def rescale(saliency: NDArray[np.floating]) -> NDArray[np.float32]:
    """The map ``[H, W]`` scaled to [0, 1]; a constant one is all zeros.

    Raises:
        ShapeMismatchError: It is not ``[H, W]``.
        InputError: A cell is NaN or infinite.
    """
    if saliency.ndim != 2 or not saliency.size:
        raise ShapeMismatchError("the saliency map", saliency.shape, ("H", "W"))
    if not np.isfinite(saliency).all():
        raise InputError("saliency", "has NaN or infinite cells, so there is no map to draw; run the model in float32.")
    raised = saliency.astype(np.float64) - saliency.min()
    return np.asarray(raised / (raised.max() or 1), np.float32)


def colorize(saliency: NDArray[np.floating], colormap: str = "turbo") -> Picture:
    """The map ``[H, W]``, of any range, in colours: its smallest cell gets the first, its largest the last.

    Raises:
        OptionError: ``colormap`` is not in :data:`COLORMAPS`.
        ShapeMismatchError, InputError: As :func:`rescale`.
    """
    return _paint(rescale(saliency), colormap)


def overlay(
    image: Picture,
    saliency: NDArray[np.floating],
    alpha: float = 0.5,
    region: Region | None = None,
    colormap: str = "turbo",
) -> Picture:
    """The map over the picture it explains.

    The map is scaled to [0, 1] and enlarged bilinearly with half-pixel centres: its corner cells reach the region's
    corners. Colour covers the picture in proportion to it, so a constant map leaves the picture as it is.

    Args:
        image: ``[H, W, 3]`` uint8 RGB, any size.
        saliency: ``[h, w]``, any range, any size.
        alpha: Share of colour at the largest cell, in [0, 1].
        region: What of ``image`` the map covers, None for all of it; the rest is darkened.
        colormap: A name of :data:`COLORMAPS`.

    Returns:
        A new picture of ``image``'s size.

    Raises:
        OptionError: ``colormap`` is unknown, or ``alpha`` outside [0, 1].
        ShapeMismatchError, InputError: ``image`` is no RGB picture, or as :func:`rescale`.
    """
    if not 0 <= alpha <= 1:
        raise OptionError("alpha", str(alpha), ("a share in [0, 1]",))
    _check_picture(image)
    rows, columns = (region or Region.whole(image)).pixels()
    heat = _enlarge(saliency, rows, columns)
    painted = np.asarray(cv2.convertScaleAbs(image, alpha=UNSEEN), np.uint8)
    weight = alpha * heat[..., None]
    painted[rows, columns] = np.rint(image[rows, columns] * (1 - weight) + _paint(heat, colormap) * weight)
    return painted


def heatmap(
    image: Picture, saliency: NDArray[np.floating], region: Region | None = None, colormap: str = "turbo"
) -> Picture:
    """The colours of the map alone, where :func:`overlay` would put them; black outside ``region``."""
    _check_picture(image)
    rows, columns = (region or Region.whole(image)).pixels()
    painted = np.zeros_like(image)
    painted[rows, columns] = _paint(_enlarge(saliency, rows, columns), colormap)
    return painted


def caption(
    panels: Mapping[str, Picture], lines: Sequence[str], notes: Mapping[str, Sequence[str]] | None = None
) -> Picture:
    """One picture to look at: panels side by side under their titles, lines of text below.

    Args:
        panels: Picture per title, :data:`PER_ROW` in a row; each is scaled to :data:`PANEL` pixels on its longer side.
        lines: Text; what OpenCV's ASCII font lacks is transliterated, what is too long ends in dots.
        notes: Lines that stand under a panel, by its title; as many under each.

    Returns:
        ``[H, W, 3]``, on white.
    """
    columns = [_column(title, panel, (notes or {}).get(title, ())) for title, panel in panels.items()]
    rows = [_row(columns[i : i + PER_ROW]) for i in range(0, len(columns), PER_ROW)]
    width = max(row.shape[1] for row in rows)
    text = np.full((_LINE * len(lines) + _MARGIN, width, 3), _PAPER, np.uint8)
    for number, line in enumerate(lines):
        _write(text, line, _LINE * (number + 1) - _MARGIN // 2)
    return np.vstack([*(_pad(row, row.shape[0], width, left=0) for row in rows), text])


def shrunk(picture: Picture, side: int) -> Picture:
    """A picture with ``side`` pixels on its longer side, each the mean of those it stands for; smaller ones are enlarged."""
    scale = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def encode(picture: Picture, ending: str, quality: int = 95) -> bytes:
    """A picture as the bytes of a file.

    Args:
        picture: ``[H, W, 3]`` uint8 RGB.
        ending: Of the file's name: ``.png``, ``.jpg``, ``.webp``.
        quality: Of a JPEG, at most 100.
    """
    how = [cv2.IMWRITE_JPEG_QUALITY, quality] if ending in {".jpg", ".jpeg"} else []
    return bytes(cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), how)[1].tobytes())


def _paint(heat: NDArray[np.float32], colormap: str) -> Picture:
    if colormap not in COLORMAPS:
        raise OptionError("colormap", colormap, tuple(COLORMAPS))
    levels = np.rint(heat * 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, COLORMAPS[colormap]), cv2.COLOR_BGR2RGB), np.uint8)


def _enlarge(saliency: NDArray[np.floating], rows: slice, columns: slice) -> NDArray[np.float32]:
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return np.asarray(cv2.resize(rescale(saliency), size, interpolation=cv2.INTER_LINEAR), np.float32)


def _check_picture(image: Picture) -> None:
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ShapeMismatchError("the picture", image.shape, ("H", "W", 3))
    if image.dtype != np.uint8:
        raise InputError("image", f"is {image.dtype}; a picture here is uint8 RGB, 0 to 255.")


def _row(columns: Sequence[Picture]) -> Picture:
    height = max(column.shape[0] for column in columns)
    return np.hstack([_pad(column, height, column.shape[1]) for column in columns])


def _column(title: str, panel: Picture, notes: Sequence[str]) -> Picture:
    """A panel scaled, centred in a column wide enough for text, its title above, its notes below."""
    _check_picture(panel)
    scale = PANEL / max(panel.shape[:2])
    height, width = (max(1, round(side * scale)) for side in panel.shape[:2])
    # Whole cells of a tiny picture stay visible; a large one is averaged down.
    scaled = cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    framed = _pad(
        np.asarray(scaled, np.uint8),
        height + _LINE * (1 + len(notes)) + 2 * _MARGIN,
        max(width, PANEL // 2) + 2 * _MARGIN,
        top=_LINE + _MARGIN,
    )
    _write(framed, title, _LINE)
    for number, note in enumerate(notes, start=1):
        _write(framed, note, height + _LINE * (1 + number) + _MARGIN)
    return framed


def _pad(picture: Picture, height: int, width: int, top: int = 0, left: int | None = None) -> Picture:
    """``picture`` on a white sheet, ``top`` pixels down, ``left`` pixels across or centred."""
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    left = (width - picture.shape[1]) // 2 if left is None else left
    sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _write(sheet: Picture, line: str, baseline: int) -> None:
    plain = _shorten(_ascii(line), sheet.shape[1] - 2 * _MARGIN)
    cv2.putText(sheet, plain, (_MARGIN, baseline), _FONT, _FONT_SCALE, _INK, _STROKE, cv2.LINE_AA)


def _ascii(text: str) -> str:
    """Accents dropped, any other character that the font lacks as ``?``."""
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return bare.encode("ascii", "replace").decode()


def _shorten(line: str, width: int) -> str:
    """The longest beginning that fits ``width`` pixels, ending in dots unless it is all of ``line``."""
    for cut in range(len(line), -1, -1):
        text = line if cut == len(line) else line[:cut].rstrip() + "..."
        if cv2.getTextSize(text, _FONT, _FONT_SCALE, _STROKE)[0][0] <= width:
            return text
    return ""
