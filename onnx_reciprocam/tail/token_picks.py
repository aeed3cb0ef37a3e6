"""Rules for ``Tokens`` that pick or join: the class token out of all, heads apart, patches behind a class token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import Factor, resized
from onnx_reciprocam.tail.registry import SELECTING, TOKENS, carries, default_axis
from onnx_reciprocam.tail.terms import Misfit, Part, Shared, Stacked, Tokens
from onnx_reciprocam.tail.token_parts import TOGETHER, Answer, each_part, free, terms_of, unlike
from onnx_reciprocam.tail.tokens import AUX, OWN, TOKEN, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Term

CELLS = Misfit("it picks among cells")


@carries(TOKENS, *SELECTING)
def _selecting(call: Call) -> Answer | list[Term]:
    """Channels of every token, or tokens."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    term = terms[0]
    if not isinstance(term, Tokens) or not call.only_first():
        return Misfit("what it picks depends on the mask")
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(term.axes)
    if axis == place(term.axes):
        return _tokens(call, term)
    if not free(term.axes, [axis]):
        return CELLS
    if call.node.op == "Gather" and call.shape(1) == ():
        return each_part(call, terms, [(*term.axes[:axis], *term.axes[axis + 1 :])])
    results = [_resized(term, call.result(i)) for i in range(len(call.node.outputs))]
    return CELLS if None in results else each_part(call, terms, [axes for axes in results if axes is not None])


def _resized(term: Tokens, shape: Sequence[int]) -> Axes | None:
    axes = resized(term.axes, shape)
    return axes if axes is not None and axes[place(term.axes)] == term.axes[place(term.axes)] else None


def _tokens(call: Call, term: Tokens) -> list[Term] | Misfit:
    """Which tokens a Gather or a Split takes."""
    total = call.shape(0)[place(term.axes)]
    if call.node.op == "Split":
        starts = np.cumsum([0, *(call.result(i)[place(term.axes)] for i in range(len(call.node.outputs)))])
        runs = [range(starts[i], starts[i + 1]) for i in range(len(call.node.outputs))]
        return _all([picked(call, term, run, output=i) for i, run in enumerate(runs)])
    places = call.constant(1)
    if call.node.op != "Gather" or places is None or places.ndim > 1:
        return CELLS
    wanted = [int(i) % total for i in places.ravel().tolist()]
    return _all([picked(call, term, wanted, drop=places.ndim == 0)])


def _all(terms: Sequence[Term | Misfit]) -> list[Term] | Misfit:
    misfit = next((term for term in terms if isinstance(term, Misfit)), None)
    return misfit or [term for term in terms if not isinstance(term, Misfit)]


@carries(TOKENS, "Slice")
def _slice(call: Call) -> Answer | list[Term]:
    """Channels of every token, or a run of tokens."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    term = terms[0]
    if not isinstance(term, Tokens) or not call.only_first():
        return Misfit("what it picks depends on the mask")
    axis = place(term.axes)
    changed = [i for i, (old, new) in enumerate(zip(call.shape(0), call.result(), strict=True)) if old != new]
    if changed == [axis]:
        run = _run(call, axis)
        return CELLS if run is None else _all([picked(call, term, run)])
    results = _resized(term, call.result())
    forward = call.constant(4) if len(call.node.inputs) > 4 else np.ones(1)
    if results is None or not free(term.axes, changed) or forward is None or forward.min() < 0:
        return CELLS
    return each_part(call, terms, [results])


def _run(call: Call, axis: int) -> range | None:
    """The tokens that a slice along one axis takes, if that is known and they stand in a row."""
    attrs = [call.attr(name) for name in ("starts", "ends", "axes")]
    given = [np.ravel(a) for a in attrs if a is not None] or [
        v for i in (1, 2, 3) if (v := call.constant(i)) is not None
    ]
    steps = call.constant(4)
    if len(given) < 2 or (steps is not None and set(steps.tolist()) != {1}):
        return None
    rank, total = len(call.shape(0)), call.shape(0)[axis]
    axes = [int(i) % rank for i in given[2].tolist()] if len(given) > 2 else list(range(len(given[0])))
    if axis not in axes:
        return None
    start, stop = (int(values.tolist()[axes.index(axis)]) for values in given[:2])
    return range(total)[start:stop]


def picked(call: Call, term: Tokens, wanted: Sequence[int], *, output: int = 0, drop: bool = False) -> Term | Misfit:
    """All patches with some of the tokens around them, or auxiliary tokens alone."""
    axis, count = place(term.axes), call.stacker.tokenizer.seen
    if len(term.axes[axis]) != 1 or term.keys:
        return CELLS
    if not call.stacker.tokenizer.is_static and not _in_every_run(call, term, wanted, output):
        return Misfit("it picks tokens by numbers that the image's size changes")
    patches = range(term.before, term.before + count)
    if not set(wanted) & set(patches):
        aux = [i if i < term.before else i - count for i in wanted]
        return _auxiliary(call, term, aux, output, drop=drop)
    start, stop = wanted[0], wanted[-1] + 1
    if list(wanted) != list(range(start, stop)) or start > patches.start or stop < patches.stop:
        return CELLS
    return _trimmed(call, term, range(start, stop), output)


def _in_every_run(call: Call, term: Tokens, wanted: Sequence[int], output: int) -> bool:
    """Whether these are the same tokens however many patches there are: some in front of them, or a run that grows with them."""
    if max(wanted) < term.before:
        return True
    return wanted[0] <= term.before and call.static_result(output)[place(term.axes)] is None


def _auxiliary(call: Call, term: Tokens, wanted: Sequence[int], output: int, *, drop: bool) -> Term:
    """Tokens that are no patches: shared until a mask reaches them, then one copy per mask."""
    axis = place(term.axes)
    if not term.parts[AUX].each:
        return Shared(call.node.outputs[output])
    split = call.stacker.tokenizer.split(term, AUX)
    if list(wanted) != list(range(term.before + term.after)):
        split = call.branch.op("Gather", split, call.branch.constant(list(wanted), hint="tokens"), axis=axis + 1)
    if drop:
        sizes = [-1 if size is None else size for size in call.static_result(output)]
        split = call.branch.reshape(split, [*sizes[:axis], call.stacker.count, *sizes[axis:]])
    return Stacked(split, axis, call.static_result(output))


def _trimmed(call: Call, term: Tokens, run: range, output: int) -> Tokens:
    """The patches, and fewer tokens around them."""
    axis, tokenizer = place(term.axes), call.stacker.tokenizer
    before = term.before - run.start
    after = len(run) - before - tokenizer.seen
    axes = (*term.axes[:axis], (Factor(TOKEN, len(run)),), *term.axes[axis + 1 :])
    parts = {kind: part for kind, part in term.parts.items() if kind != AUX}
    fresh = tokenizer.originals(call.node.outputs[output], axes, before, after)
    if parts[OWN].origin is not None:
        parts[OWN] = fresh[OWN]
    if before + after:
        kept = term.parts[AUX].origin is not None
        parts = {AUX: fresh[AUX] if kept else _kept(call, term, run.start, before + after), **parts}
    return replace(term, parts=parts, axes=axes, before=before, after=after)


def _kept(call: Call, term: Tokens, start: int, count: int) -> Part:
    """So many auxiliary tokens from ``start``: those between the patches stay."""
    axis, tokenizer, each = place(term.axes), call.stacker.tokenizer, term.parts[AUX].each

    def make() -> gs.Tensor:
        cut = call.branch.slice(tokenizer.split(term, AUX), start, start + count, axis + 1)
        shape = list(call.static_result())
        sizes: list[Size] = [-1 if size is None else size for size in shape]
        sizes[axis] = call.branch.product([count, tokenizer.masks]) if each else count
        return call.branch.reshape(cut, sizes)

    return Part(make, each)


# joining ------------------------------------------------------------------------------------------------------------


@carries(TOKENS, "Concat")
def _concat(call: Call) -> Answer | list[Tokens]:
    """Channels of every token, or auxiliary tokens before and after the patches."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    tokens = [term for term in terms if isinstance(term, Tokens)]
    axis = call.attr("axis") % len(tokens[0].axes)
    if axis != place(tokens[0].axes):
        return _channels(call, terms, axis)
    open_ends = any(call.static(i)[axis] is None for i, term in enumerate(terms) if term is not tokens[0])
    if len(tokens) != 1 or len(tokens[0].axes[axis]) != 1 or tokens[0].keys or open_ends:
        return Misfit("it joins cells with cells")
    return [_surrounded(call, terms, tokens[0], axis)]


def _channels(call: Call, terms: Sequence[Term | None], axis: int) -> Answer:
    """Every part along its channels, where all operands are held alike: a Concat does not broadcast."""
    tokens = [term for term in terms if isinstance(term, Tokens)]
    first = tokens[0]
    alike = all(
        (p.each, p.constant) == (t.parts[k].each, t.parts[k].constant) for t in tokens for k, p in first.parts.items()
    )
    if len(tokens) != len(terms) or not alike or not free(first.axes, [axis]) or any(unlike(first, t) for t in tokens):
        return TOGETHER
    return each_part(call, terms, [(*first.axes[:axis], (Factor("", call.result()[axis]),), *first.axes[axis + 1 :])])


def _surrounded(call: Call, terms: Sequence[Term | None], term: Tokens, axis: int) -> Tokens:
    """The patches with more tokens around them."""
    tokenizer, where = call.stacker.tokenizer, list(terms).index(term)
    sizes = [call.shape(i)[axis] for i in range(len(terms))]
    before, after = term.before + sum(sizes[:where]), term.after + sum(sizes[where + 1 :])
    axes = (*term.axes[:axis], (Factor(TOKEN, sum(sizes)),), *term.axes[axis + 1 :])
    fresh = tokenizer.originals(call.node.outputs[0], axes, before, after)
    parts = dict(term.parts)
    if parts[OWN].origin is not None:
        parts[OWN] = fresh[OWN]
    each = any(isinstance(t, Stacked) for t in terms) or (AUX in parts and parts[AUX].each)
    aux = Part(_pieces(call, terms, term, axis), each=True) if each else fresh[AUX]
    return replace(
        term, parts={AUX: aux, **{k: p for k, p in parts.items() if k != AUX}}, axes=axes, before=before, after=after
    )


def _pieces(call: Call, terms: Sequence[Term | None], term: Tokens, axis: int) -> Callable[[], gs.Tensor]:
    """All auxiliary tokens in their order, one set per mask."""
    tokenizer, branch, rank = call.stacker.tokenizer, call.branch, len(term.axes) + 1

    def split(i: int, other: Term | None) -> list[gs.Tensor]:
        if isinstance(other, Stacked):
            front = call.stacker.front(other)
            return [branch.transpose(front, [*range(1, axis + 1), 0, *range(axis + 1, rank)])]
        if isinstance(other, Shared):
            return [tokenizer.per_mask(branch.unsqueeze(call.node.inputs[i], [axis]), axis, rank)]
        if AUX not in term.parts:
            return []
        own = tokenizer.split(term, AUX)
        return [own if term.parts[AUX].each else tokenizer.per_mask(own, axis, rank)]

    def make() -> gs.Tensor:
        pieces = [piece for i, other in enumerate(terms) for piece in split(i, other)]
        joined = pieces[0] if len(pieces) == 1 else branch.concat(pieces, axis + 1)
        sizes: list[Size] = [-1 if size is None else size for size in call.static_result()]
        sizes[axis] = branch.product([call.result()[axis] - tokenizer.seen, tokenizer.masks])
        return branch.reshape(joined, sizes)

    return make
