"""Tokens in parts: cutting them out of a tensor, lining them up per mask, and multiplying them out.

A part is *split* when its token axis has become two, the masks (N, or 1 where no mask changes it) and its own tokens.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import BATCH
from onnx_reciprocam.tail.copies import Copies
from onnx_reciprocam.tail.terms import Part, Stacked, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx_graphsurgeon as gs
    from numpy.typing import DTypeLike, NDArray

    from onnx_reciprocam.graph import Branch, Size
    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.terms import StaticShape

TOKEN, KEY = "t", "k"
AUX, OWN, REST = "aux", "own", "rest"
_SPAN = re.compile(r"(?:([1-9][0-9]*)\+)?hw(?:\+([1-9][0-9]*))?")


def span(label: str) -> tuple[int, int] | None:
    """How many auxiliary tokens an axis has before and after its patches, ``span("1+hw") == (1, 0)``; None if no patches."""
    match = _SPAN.fullmatch(label)
    return (int(match[1] or 0), int(match[2] or 0)) if match else None


def place(axes: Axes, label: str = TOKEN) -> int:
    """The axis that runs over tokens (or keys); -1 if there is none."""
    return next((i for i, axis in enumerate(axes) if any(factor.label == label for factor in axis)), -1)


def apart(axes: Axes) -> Axes:
    """Every factor an axis of its own."""
    return tuple((factor,) for axis in axes for factor in axis)


def is_apart(axes: Axes) -> bool:
    """Whether images, tokens and keys share their axes with nothing else."""
    labels = {BATCH, TOKEN, KEY}
    return all(len(axis) == 1 or not any(factor.label in labels for factor in axis) for axis in axes)


class Tokenizer:
    """What is done with parts.

    Args:
        branch: Receives the nodes.
        count: How many patches there are.
        carried: How many masks are carried, as probed.
        masks: Those that are carried, by the numbers of their cells; None for all, N.
    """

    def __init__(self, branch: Branch, count: Size, carried: int, masks: range | None = None) -> None:
        self.branch, self.count, self.carried, self.chosen = branch, count, carried, masks
        self.masks: Size = count if masks is None else len(masks)
        self.seen = count if isinstance(count, int) else carried  # patches as probed

    @property
    def is_static(self) -> bool:
        """Whether N is known when the file is rewritten."""
        return isinstance(self.count, int)

    def lengths(self, axes: Axes, tokens: Size, keys: Size = 0) -> list[Size]:
        """The shape of a part with so many tokens and keys; -1 for the axis of the images."""
        counts = {TOKEN: tokens, KEY: keys}
        sizes = [[counts.get(factor.label, factor.size) for factor in axis] for axis in axes]
        images = [any(factor.label == BATCH for factor in axis) for axis in axes]
        return [-1 if alone else self.branch.product(axis) for alone, axis in zip(images, sizes, strict=True)]

    # parts of an original tensor ------------------------------------------------------------------------------------

    def originals(self, tensor: gs.Tensor, axes: Axes, before: int, after: int) -> dict[str, Part]:
        """The auxiliary and the live tokens as they are in ``tensor``: cut out of it only where somebody needs them alone."""

        def cut(start: Size, size: Size) -> gs.Tensor:
            return self._cut(tensor, axes, start, size, self.branch.plus(self.count, before + after))

        def around() -> gs.Tensor:
            ends = [cut(0, before)] if before else []
            ends += [cut(self.branch.plus(self.count, before), after)] if after else []
            return ends[0] if len(ends) == 1 else self.branch.concat(ends, place(axes))

        aux = {AUX: Part(around, origin=tensor)} if before + after else {}
        own = Part(lambda: self.patches(tensor, axes, before, after, self.chosen), each=True, origin=tensor)
        return aux | {OWN: own}

    def patches(self, tensor: gs.Tensor, axes: Axes, before: int, after: int, chosen: range | None = None) -> gs.Tensor:
        """``tensor`` without its auxiliary tokens, or some patches alone."""
        if chosen is None and not before + after:
            return tensor
        start, size = (before, self.count) if chosen is None else (before + chosen.start, len(chosen))
        return self._cut(tensor, axes, start, size, self.branch.plus(self.count, before + after))

    def _cut(self, tensor: gs.Tensor, axes: Axes, start: Size, size: Size, total: Size) -> gs.Tensor:
        """So many of ``total`` tokens, from ``start``."""
        axis = place(axes)
        stop = self.branch.plus(start, size) if isinstance(size, int) else self.branch.plus(size, _known(start))
        if len(axes[axis]) == 1:
            return self.branch.slice(tensor, start, stop, axis)
        loose = apart(axes)
        cut = self.branch.slice(self.branch.reshape(tensor, self.lengths(loose, total)), start, stop, place(loose))
        return self.branch.reshape(cut, self.lengths(axes, size))

    # one part -------------------------------------------------------------------------------------------------------

    def tensor(self, part: Part) -> gs.Tensor:
        """Its value as a tensor."""
        value = part.value
        return self.branch.constant(value, value.dtype, hint=REST) if isinstance(value, np.ndarray) else value

    def single(self, term: Tokens, kind: str) -> int:
        """How many tokens of a part a mask has."""
        return {AUX: term.before + term.after, OWN: term.live, REST: 1}[kind]

    def rows(self, term: Tokens, kind: str, *, each: bool) -> int:
        """How long the token axis of a part is, as probed; ``each``: one set per mask."""
        return self.single(term, kind) * (self.carried if each else 1)

    def _tokens(self, term: Tokens, kind: str, *, each: bool) -> Size:
        """The same in every run."""
        return self.branch.product([self.single(term, kind), self.masks] if each else [self.single(term, kind)])

    def split(self, term: Tokens, kind: str) -> gs.Tensor:
        """A part as ``[..., N or 1, tokens, ...]``; the token axis must be :func:`is_apart`."""
        part, axis = term.parts[kind], place(term.axes)
        if not part.each:
            return self.branch.unsqueeze(self.tensor(part), [axis])
        sizes = self._lengths(term, self.single(term, kind))
        return self.branch.reshape(self.tensor(part), [*sizes[:axis], self.masks, *sizes[axis:]])

    def merged(self, value: gs.Tensor, term: Tokens, kind: str) -> gs.Tensor:
        """Back from :meth:`split`, of a part with one per mask."""
        return self.branch.reshape(value, self._lengths(term, self._tokens(term, kind, each=True)))

    def spread(self, term: Tokens, kind: str) -> gs.Tensor:
        """A part with one per mask, whatever it was."""
        if term.parts[kind].each:
            return self.tensor(term.parts[kind])
        loose = self.relaid(term, apart(term.axes))
        value = self.per_mask(self.split(loose, kind), place(loose.axes), len(loose.axes) + 1)
        return self.merged(value, term, kind)

    def per_mask(self, value: gs.Tensor, axis: int, rank: int) -> gs.Tensor:
        """``[..., 1, ...]`` repeated along ``axis``, once per mask."""
        return self.branch.op("Expand", value, self.branch.vector(_at(rank, {axis: self.masks})))

    def relaid(self, term: Tokens, axes: Axes) -> Tokens:
        """The same with its factors grouped to other axes."""
        if axes == term.axes:
            return term
        laid = replace(term, axes=axes)
        return replace(laid, parts={kind: self.reshaped(laid, kind) for kind in term.parts})

    def reshaped(self, term: Tokens, kind: str) -> Part:
        """The part that holds the values of ``term``'s own in the shape that its axes say."""
        part = term.parts[kind]

        def make() -> gs.Tensor | NDArray[np.generic]:
            sizes, value = self._lengths(term, self._tokens(term, kind, each=part.each)), part.value
            if isinstance(value, np.ndarray):
                return value.reshape([_known(size) for size in sizes])
            return self.branch.reshape(value, sizes)

        return Part(make, part.each, part.constant)

    def _lengths(self, term: Tokens, tokens: Size) -> list[Size]:
        return self.lengths(term.axes, tokens, term.kinds_of_keys)

    # all parts together ---------------------------------------------------------------------------------------------

    def together(self, term: Tokens) -> gs.Tensor:
        """``[..., N, A + L + 1, ...]``: under each mask the auxiliary tokens, the live ones, and one that rests."""
        axis, own = place(term.axes), self.split(term, OWN)
        shape = self.branch.op("Shape", own if term.live == 1 else self.branch.slice(own, 0, 1, axis + 1))
        pieces = []
        for kind, part in term.parts.items():
            piece = self.split(term, kind)
            # with the masks and images of a live token: those of the others may be left out
            pieces.append(piece if part.each else self.branch.op("Expand", piece, shape))
        return self.branch.concat(pieces, axis + 1)

    def untied(self, value: gs.Tensor, term: Tokens) -> dict[str, Part]:
        """Back from :meth:`together`."""
        start, parts = 0, {}
        for kind in term.parts:
            stop = start + self.single(term, kind)
            parts[kind] = Part(self._slicing(value, term, kind, range(start, stop)), each=True)
            start = stop
        return parts

    def _slicing(self, value: gs.Tensor, term: Tokens, kind: str, run: range) -> Callable[[], gs.Tensor]:
        axis = place(term.axes) + 1
        return lambda: self.merged(self.branch.slice(value, run.start, run.stop, axis), term, kind)

    def copies(self, term: Tokens, axis: int, rank: int, dtype: DTypeLike) -> Copies:
        """How many tokens (or keys) of the original each one of :meth:`together` stands for, along ``axis``."""
        alone = sum(term.keys or (term.before, term.after)) + term.live
        return Copies(self.branch, alone, self.branch.plus(self.count, -term.live), _at(rank, {axis: -1}), dtype)

    # multiplied out -------------------------------------------------------------------------------------------------

    def stacked(self, term: Tokens, shape: StaticShape) -> Stacked:
        """One copy of all tokens per mask."""
        loose = self.relaid(term, apart(term.axes))
        axis = place(loose.axes)
        rows = {kind: self._with_all_keys(loose, self.split(loose, kind)) for kind in loose.parts}
        value = self._patches(loose, rows[OWN], rows[REST], (axis, axis + 1))
        value = self.around(loose, value, rows.get(AUX))
        if loose.axes == term.axes:
            return Stacked(value, axis, shape)
        front = self.branch.transpose(value, [axis, *(i for i in range(len(loose.axes) + 1) if i != axis)])
        tokens, keys = (
            self.branch.plus(self.count, sum(ends)) for ends in ((term.before, term.after), term.keys or ())
        )
        return Stacked(self.branch.reshape(front, [self.masks, *self.lengths(term.axes, tokens, keys)]), 0, shape)

    def around(self, term: Tokens, patches: gs.Tensor, aux: gs.Tensor | None = None) -> gs.Tensor:
        """All patches per mask, with the auxiliary tokens before and after them: ``[..., N, T, ...]``."""
        if AUX not in term.parts:
            return patches
        axis, split = place(term.axes), self.split(term, AUX) if aux is None else aux
        split = split if term.parts[AUX].each else self.per_mask(split, axis, len(term.axes) + 1)
        return self._joined(split, patches, axis + 1, (term.before, term.after))

    def _with_all_keys(self, term: Tokens, value: gs.Tensor) -> gs.Tensor:
        """A split part with a key per token of the original."""
        if term.keys is None:
            return value
        masks, keys, aux = place(term.axes), place(term.axes, KEY), sum(term.keys)
        keys += keys > masks
        resting = aux + term.live
        own, rest = (self.branch.slice(value, *run, keys) for run in ((aux, resting), (resting, resting + 1)))
        patches = self._patches(term, own, rest, (masks, keys))
        return self._joined(self.branch.slice(value, 0, aux, keys), patches, keys, term.keys) if aux else patches

    def _patches(self, term: Tokens, own: gs.Tensor, rest: gs.Tensor, axes: tuple[int, int]) -> gs.Tensor:
        """All patches, for ``axes`` of masks and of cells: under each mask the live ones at their cells, the resting one elsewhere."""
        (masks, cells), rank = axes, len(term.axes) + 1
        here = self._cells(None, rank, cells)
        value, resting = rest, term.parts[REST].value
        dtype = resting.dtype if isinstance(resting, np.ndarray) else None
        own_cells = None if self.chosen is None else np.array(self.chosen)
        for i, places in enumerate([own_cells] if term.cells is None else term.cells.T):
            live = own if term.live == 1 else self.branch.slice(own, i, i + 1, cells)
            there = self._cells(places, rank, masks)
            value = self.branch.where(self.branch.equal(there, here), live, value, dtype)
        return value

    def _cells(self, places: NDArray[np.int64] | None, rank: int, axis: int) -> gs.Tensor:
        """Numbers of cells along ``axis``: those given, or all in a row."""
        if places is None and not isinstance(self.count, int):
            return self.branch.reshape(self.branch.range(self.count), _at(rank, {axis: -1}))
        numbers = np.arange(self.seen) if places is None else places
        return self.branch.constant(numbers.reshape(_at(rank, {axis: -1})), hint="cells")

    def _joined(self, aux: gs.Tensor, patches: gs.Tensor, axis: int, ends: tuple[int, int]) -> gs.Tensor:
        before, after = ends
        first = [self.branch.slice(aux, 0, before, axis)] if before else []
        last = [self.branch.slice(aux, before, before + after, axis)] if after else []
        return self.branch.concat([*first, patches, *last], axis)


def _known(size: Size) -> int:
    """A length that no run changes."""
    if not isinstance(size, int):
        raise TypeError("the same in every run")
    return size


def _at(rank: int, sizes: dict[int, int]) -> list[int]:
    """A shape of ones but for the axes in ``sizes``."""
    return [sizes.get(axis, 1) for axis in range(rank)]
