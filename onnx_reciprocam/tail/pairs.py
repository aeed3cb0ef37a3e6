"""Which cells may differ from the background under which mask: lists of pairs, and how a kernel spreads them.

All of it is known when the file is rewritten: numpy here, index tables in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs (mask, cell), each at most once.

    Args:
        mask: int64 ``[P]``, in [0, masks).
        cell: int64 ``[P]``, row by row on the map, in [0, height * width).
        masks: How many masks there are.
        height: Of the map; a kernel may have made it smaller than the grid of masks.
        width: Likewise.
    """

    mask: Indices
    cell: Indices
    masks: int
    height: int
    width: int

    def __len__(self) -> int:
        """P."""
        return len(self.mask)

    @property
    def map(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def cells(self) -> int:
        """Of the map."""
        return self.height * self.width

    @cached_property
    def keys(self) -> Indices:
        """One number per pair."""
        return np.asarray(self.mask * self.cells + self.cell)

    def picked(self, keys: Indices, height: int, width: int) -> Pairs:
        """The pairs that ``keys`` number, on a map of this size."""
        mask, cell = np.divmod(keys, height * width)
        return Pairs(mask, cell, self.masks, height, width)

    def under(self, masks: range) -> tuple[Pairs, Indices]:
        """The pairs under some of the masks, which count from 0 on, and where among these pairs they stand."""
        where = np.flatnonzero((self.mask >= masks.start) & (self.mask < masks.stop))
        return Pairs(self.mask[where] - masks.start, self.cell[where], len(masks), self.height, self.width), where

    def placed(self, other: Pairs) -> Indices:
        """Where among these pairs those of ``other`` stand, -1 for what is not here."""
        order = np.argsort(self.keys)
        found = np.searchsorted(self.keys[order], other.keys).clip(max=len(self) - 1)
        return np.where(self.keys[order][found] == other.keys, order[found], -1)

    def same(self, other: Pairs) -> bool:
        """Whether both are the same list in the same order."""
        return self is other or np.array_equal(self.keys, other.keys)

    def joined(self, other: Pairs) -> Pairs:
        """The pairs of either, these first."""
        extra = other.keys[~np.isin(other.keys, self.keys)]
        return self.picked(np.concatenate([self.keys, extra]), self.height, self.width)

    @cached_property
    def elsewhere(self) -> NDArray[np.bool_]:
        """Bool ``[masks, cells]``: where the background stands."""
        outside = np.ones((self.masks, self.cells), bool)
        outside[self.mask, self.cell] = False
        return outside


def every_mask_its_cell(height: int, width: int) -> Pairs:
    """The pixel masks: pair n is mask n at cell n."""
    cells = np.arange(height * width)
    return Pairs(cells, cells, height * width, height, width)


def neighbours(height: int, width: int) -> tuple[Pairs, NDArray[np.float32]]:
    """The Gaussian masks: the pairs of every mask with the 3x3 cells around its own, and their weights ``[P]``."""
    row, column = (axis.ravel() for axis in np.indices((height, width)))
    cells = np.arange(height * width)
    mask, cell, weight = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for down, right in product((-1, 0, 1), repeat=2):
        there = (row + down >= 0) & (row + down < height) & (column + right >= 0) & (column + right < width)
        mask.append(cells[there])
        cell.append(cells[there] + down * width + right)
        weight.append(np.full(there.sum(), (2 - abs(down)) * (2 - abs(right)) / 16, np.float32))
    pairs = Pairs(np.concatenate(mask), np.concatenate(cell), height * width, height, width)
    return pairs, np.concatenate(weight)


class Kernel(NamedTuple):
    """The geometry of a convolution or pool: each field for height and width.

    Args:
        size: Taps.
        strides: Cells between two answers.
        dilations: Cells between two taps.
        begins: Padding before the first row and column.
        out: The map of answers.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    begins: tuple[int, int]
    out: tuple[int, int]

    def taps(self, axis: int, residue: int) -> Indices:
        """The taps that can meet a cell whose padded position has this remainder by the stride."""
        taps = np.arange(self.size[axis])
        return np.flatnonzero((residue - taps * self.dilations[axis]) % self.strides[axis] == 0)

    def answer(self, axis: int, position: Indices, taps: Indices) -> Indices:
        """Which answer a cell enters through a tap, ``[positions, taps]``; -1 for none."""
        answers = (position[:, None] + self.begins[axis] - taps * self.dilations[axis]) // self.strides[axis]
        return np.where((answers >= 0) & (answers < self.out[axis]), answers, -1)


class Block(NamedTuple):
    """Pairs that meet the same taps: with a stride of 2, those of even rows meet others than those of odd ones.

    Args:
        pairs: Positions in the list of pairs, ``[p]``.
        taps: Positions in the flattened kernel, ``[t]``.
    """

    pairs: Indices
    taps: Indices


class Spread(NamedTuple):
    """What a kernel makes of a list of pairs.

    Args:
        pairs: The answers that change.
        blocks: Products to be made, ``p * t`` rows each, tap by tap for every pair.
        tables: One per number of rows that add up to an answer, ``[answers, rows]``; together in the order of ``pairs``.
    """

    pairs: Pairs
    blocks: list[Block]
    tables: list[Indices]


def spread(pairs: Pairs, kernel: Kernel) -> Spread:
    """Every pair through every tap, and which of the products add up: the cost is that of the cells that changed."""
    row, column = np.divmod(pairs.cell, pairs.width)
    residues = [(axis + kernel.begins[i]) % kernel.strides[i] for i, axis in enumerate((row, column))]
    blocks, keys = list[Block](), list[np.ndarray]()
    for down, right in product(*map(range, kernel.strides)):
        here = np.flatnonzero((residues[0] == down) & (residues[1] == right))
        rows, columns = kernel.taps(0, down), kernel.taps(1, right)
        if not (len(here) and len(rows) and len(columns)):
            continue
        down_to = kernel.answer(0, row[here], rows)[:, :, None]
        right_to = kernel.answer(1, column[here], columns)[:, None, :]
        key = (pairs.mask[here][:, None, None] * kernel.out[0] + down_to) * kernel.out[1] + right_to
        keys.append(np.where((down_to < 0) | (right_to < 0), -1, key).ravel())
        blocks.append(Block(here, (rows[:, None] * kernel.size[1] + columns).ravel()))
    reached = np.concatenate(keys) if keys else np.empty(0, np.int64)
    rows = np.flatnonzero(reached >= 0)
    unique, tables = gathered(reached[rows], rows)
    return Spread(pairs.picked(unique, *kernel.out), blocks, tables)


def gathered(keys: Indices, rows: Indices) -> tuple[Indices, list[Indices]]:
    """Rows by the key that they belong to.

    Returns:
        The keys, those with fewest rows first, and one table per number of rows ``[keys, rows]`` in the same order.
    """
    order = np.argsort(keys, kind="stable")
    unique, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    sizes: Sequence[int] = np.unique(counts).tolist()
    tables = [rows[order][first[counts == size][:, None] + np.arange(size)] for size in sizes]
    sorted_keys = [unique[counts == size] for size in sizes]
    return np.concatenate(sorted_keys) if sizes else unique, tables


def cells_under(kernel: Kernel, height: int, width: int) -> Indices:
    """The cells of a map of this size that make each answer, ``[answers, taps]``; -1 for padding."""
    sides = []
    for axis, length in enumerate((height, width)):
        steps = np.arange(kernel.size[axis]) * kernel.dilations[axis] - kernel.begins[axis]
        position = np.arange(kernel.out[axis])[:, None] * kernel.strides[axis] + steps
        sides.append(np.where((position >= 0) & (position < length), position, -1))
    down, right = sides[0][:, None, :, None], sides[1][None, :, None, :]
    cells = np.where((down < 0) | (right < 0), -1, down * width + right)
    return cells.reshape(kernel.out[0] * kernel.out[1], -1)
