"""The target's axes: from the layout that the metadata records to ``[B, C, H, W]`` and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import ShapeMismatchError, UnsupportedModelError
from onnx_reciprocam.masks import KERNEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOKENS = re.compile(r"(?:([1-9][0-9]*)\+)?hw(?:\+([1-9][0-9]*))?")


@dataclass(frozen=True)
class Layout:
    """Where batch, channels and cells stand.

    Args:
        text: As einops writes it: ``b c h w``, ``b h w c``, ``b 1+hw c``, ``b hw+2 c``, in any order.
        order: Axes in the order ``b c h w``, or ``b c`` and the tokens.
        aux: Tokens before and after the patches, which every mask keeps.
        grid: Cells down and across where the metadata has them; None where the image's size decides.
    """

    text: str
    order: tuple[int, ...]
    aux: tuple[int, int]
    grid: tuple[int | None, int | None]

    @classmethod
    def parse(cls, text: str, grid: tuple[int | None, int | None]) -> Layout:
        """Read the layout.

        Raises:
            UnsupportedModelError: It is none that has a naive explanation here.
        """
        axes = text.split()
        if sorted(axes) == ["b", "c", "h", "w"]:
            return cls(text, tuple(axes.index(axis) for axis in "bchw"), (0, 0), grid)
        tokens = [match for axis in axes if (match := _TOKENS.fullmatch(axis))]
        if sorted({*axes} - {match[0] for match in tokens}) != ["b", "c"] or len(axes) != 3 or len(tokens) != 1:
            remedy = "verify knows b c h w, b h w c and tokens such as b 1+hw c, in any order."
            raise UnsupportedModelError(f"the metadata has the layout {text!r}", remedy)
        aux = int(tokens[0][1] or 0), int(tokens[0][2] or 0)
        return cls(text, tuple(axes.index(axis) for axis in ("b", "c", tokens[0][0])), aux, grid)

    def settled(self, features: NDArray[Any], picture: tuple[int, int]) -> Layout:
        """With a grid for these tokens: of all that have as many cells, the one shaped most like the picture.

        Args:
            features: The target.
            picture: Height and width in pixels.
        """
        if len(self.order) != 3 or features.ndim != 3 or None not in self.grid:
            return self
        count = features.shape[self.order[2]] - sum(self.aux)
        sides = [(height, count // height) for height in range(1, count + 1) if count % height == 0]
        fitting = [grid for grid in sides if all(a in {None, b} for a, b in zip(self.grid, grid, strict=True))]
        wanted = math.log(picture[0] / picture[1])
        return replace(
            self, grid=min(fitting, key=lambda grid: abs(math.log(grid[0] / grid[1]) - wanted), default=(0, 0))
        )

    def cells(self, features: NDArray[Any]) -> NDArray[Any]:
        """``[B, C, H, W]``, without the aux tokens; the grid of tokens must be :meth:`settled`.

        Raises:
            ShapeMismatchError: The features do not have this layout or grid.
        """
        if features.ndim != len(self.order):
            raise ShapeMismatchError("the target", features.shape, self.text.split())
        moved = features.transpose(self.order)
        if len(self.order) == 3:
            height, width = (side or 0 for side in self.grid)
            if moved.shape[2] != sum(self.aux) + height * width:
                raise ShapeMismatchError(f"the target ({self.text})", features.shape, [f"grid {height}x{width}"])
            moved = moved[..., self.aux[0] : self.aux[0] + height * width].reshape(*moved.shape[:2], height, width)
        if any(known not in {None, side} for known, side in zip(self.grid, moved.shape[2:], strict=True)):
            raise ShapeMismatchError("the target's grid", moved.shape[2:], [side or "any" for side in self.grid])
        return moved

    def features(self, cells: NDArray[Any], original: NDArray[Any]) -> NDArray[Any]:
        """The target's own axes again, with the aux tokens of ``original``."""
        if len(self.order) == 3:
            tokens = original.transpose(self.order)
            before, after = tokens[..., : self.aux[0]], tokens[..., tokens.shape[2] - self.aux[1] :]
            cells = np.concatenate([before, cells.reshape(*cells.shape[:2], -1), after], axis=-1)
        return np.ascontiguousarray(cells.transpose(np.argsort(self.order)))


def masked_copy(features: NDArray[Any], mask: str, cell: int, zero: int = 0) -> NDArray[Any]:
    """The features under the mask of one cell.

    Args:
        features: ``[B, C, H, W]``.
        mask: ``pixel``, ``gaussian`` or ``replicated``.
        cell: Row by row from the top left, in [0, H*W).
        zero: What stands for zero: of quantised values, which ``pixel`` alone can mask, their zero point.

    Returns:
        ``[B, C, H, W]``, zero where the mask is.

    Source:
        arXiv:2209.14074, section 3; arXiv:2310.02588, section 3.2; the authors' code for ``replicated``.
    """
    height, width = features.shape[2:]
    row, column = divmod(cell, width)
    masked = np.full_like(features, zero)
    if mask == "pixel":
        masked[:, :, row, column] = features[:, :, row, column]
        return masked
    for down, right in product((-1, 0, 1), repeat=2):
        y, x = row + down, column + right
        if 0 <= y < height and 0 <= x < width:
            source = features[:, :, row, column] if mask == "replicated" else features[:, :, y, x]
            masked[:, :, y, x] = KERNEL[1 + down, 1 + right] * source
    return masked
