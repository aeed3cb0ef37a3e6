"""Rules for ``Tokens`` that let tokens see each other: attention, means and sums over tokens.

All resting tokens are equal, so a sum over T tokens is one over the auxiliary ones, the L live ones, and one resting token
that counts N - L times; in a softmax that is ``log(N - L)`` added to its score.

Source:
    The masks are those of ViT-ReciproCAM, arXiv:2310.02588; the arithmetic is exact, no approximation of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.tail.axes import Factor
from onnx_reciprocam.tail.registry import NORMALISING, TOKENS, carries, default_axis
from onnx_reciprocam.tail.spot_rules import reaches_on
from onnx_reciprocam.tail.terms import Misfit, Part, Shared, Stacked, Tokens
from onnx_reciprocam.tail.token_parts import TOGETHER, Answer, each_part, free, mixed, terms_of
from onnx_reciprocam.tail.tokens import KEY, apart, is_apart, place

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.copies import Copies


def dtype_of(call: Call) -> np.dtype[np.generic]:
    """The element type of the node's result; float32 where inference does not know."""
    known = call.walk.shapes.types.get(call.node.outputs[0].name, onnx.TensorProto.FLOAT)
    return onnx.helper.tensor_dtype_to_np_dtype(known or onnx.TensorProto.FLOAT)


def copies(call: Call, term: Tokens, axis: int, rank: int) -> Copies:
    """How often each of a mask's tokens (or keys) counts, along ``axis``, in the result's type."""
    return call.stacker.tokenizer.copies(term, axis, rank, dtype_of(call))


# matrix products ----------------------------------------------------------------------------------------------------


@carries(TOKENS, "MatMul")
def _matmul(call: Call) -> Answer | list[Stacked]:
    """Weights in each token alone; queries with keys; attention with values."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    if min(len(call.shape(0)), len(call.shape(1))) < 2:
        return Misfit("an operand is a vector")
    left, right = terms
    if isinstance(left, Tokens) and isinstance(right, Tokens):
        return _of_tokens(call, left, right)
    if isinstance(left, Tokens) and isinstance(right, Shared):
        return _weighted(call, left)
    if isinstance(right, Tokens) and isinstance(left, Shared):
        return _queried(call, right)
    return per_mask_queries(call, left, right) if isinstance(left, Stacked) and isinstance(right, Tokens) else TOGETHER


def _weighted(call: Call, left: Tokens) -> Answer:
    """``tokens @ weights``, the weights the same for all tokens."""
    axes, shape = left.axes, call.shape(1)
    leading = [shape[i - len(axes)] for i in range(len(axes) - 2) if i >= len(axes) - len(shape)]
    telling = {place(axes), place(axes, KEY), *mixed(axes)} - {len(axes) - 2}
    varying = any(size != 1 and i in telling for i, size in enumerate(leading, start=len(axes) - 2 - len(leading)))
    if not free(axes, [-1]) or len(shape) > len(axes) or varying or call.result()[:-1] != call.shape(0)[:-1]:
        return TOGETHER
    return each_part(call, [left, call.terms[1]], [(*axes[:-1], (Factor("", call.result()[-1]),))])


def _queried(call: Call, right: Tokens) -> Answer:
    """``queries @ tokens``, with queries that no mask changes: one score for every token."""
    axes, shape = right.axes, call.shape(0)
    alone = free(axes, [-2]) and not mixed(axes) and place(axes) == len(axes) - 1 and right.keys is None
    if not alone or len(shape) > len(axes) or call.result()[:-2] != call.shape(1)[:-2]:
        return TOGETHER
    return each_part(call, [call.terms[0], right], [(*axes[:-2], (Factor("", shape[-2]),), axes[-1])])


def per_mask_queries(call: Call, left: Stacked, right: Tokens) -> Answer:
    """The same where every mask has its own queries."""
    axes, rank = right.axes, len(right.axes)
    fits = is_apart(axes) and place(axes) == rank - 1 and right.keys is None and len(left.shape) == rank
    if not fits or call.result()[:-2] != call.shape(1)[:-2]:
        return TOGETHER
    front = call.stacker.front(left)
    queries = call.branch.transpose(front, [*range(1, rank - 1), 0, rank - 1, rank])  # [..., N, queries, D]
    scores = replace(right, axes=(*axes[:-2], (Factor("", call.shape(0)[-2]),), axes[-1]))
    call.spend(0)

    def make(kind: str) -> Callable[[], gs.Tensor]:
        def score() -> gs.Tensor:
            split = call.stacker.tokenizer.split(right, kind)  # [..., D, N, tokens]
            keys = call.branch.transpose(split, [*range(rank - 2), rank - 1, rank - 2, rank])
            product = call.branch.op("MatMul", queries, keys)  # [..., N, queries, tokens]
            back = call.branch.transpose(product, [*range(rank - 2), rank - 1, rank - 2, rank])
            return call.stacker.tokenizer.merged(back, scores, kind)

        return score

    return [replace(scores, parts={kind: Part(make(kind), each=True) for kind in right.parts})]


def _of_tokens(call: Call, left: Tokens, right: Tokens) -> Answer | list[Stacked]:
    """Images and heads along one axis, ``(b h) t d``, are taken apart, multiplied, and laid together again."""
    tokenizer, lead = call.stacker.tokenizer, left.axes[:-2]
    if not mixed(left.axes) and not mixed(right.axes):
        return _product(call, left, right)
    if lead != right.axes[:-2] or len(left.axes) != len(right.axes):
        return Misfit("its operands differ in more than their tokens")
    product = _product(call, *(tokenizer.relaid(term, (*apart(lead), *term.axes[-2:])) for term in (left, right)))
    if isinstance(product, Misfit) or not isinstance(product[0], Tokens):
        return TOGETHER
    return [tokenizer.relaid(product[0], (*lead, *product[0].axes[-2:]))]


def _product(call: Call, left: Tokens, right: Tokens) -> Answer | list[Stacked]:
    """Which of the products of attention it is, told by where its operands hold their tokens."""
    last = len(left.axes) - 1
    where = (place(left.axes), place(left.axes, KEY), place(right.axes), place(right.axes, KEY))
    if not is_apart(left.axes) or not is_apart(right.axes) or call.shape(0)[:-2] != call.shape(1)[:-2]:
        return Misfit("its operands differ in more than their tokens")
    if where == (last - 1, -1, last, -1):
        return [scores(call, left, right)]
    if where == (last - 1, last, last - 1, -1) and left.keys == (right.before, right.after):
        return [attended(call, left, right)]
    same_tokens = (left.before, left.after, left.live) == (right.before, right.after, right.live)
    return [_contracted(call, left, right)] if where == (last, -1, last - 1, -1) and same_tokens else TOGETHER


def scores(call: Call, queries: Tokens, keys: Tokens) -> Tokens:
    """``[..., t, d] @ [..., d, t]``: for every query the auxiliary keys, the live ones, and a resting one."""
    tokenizer, rank = call.stacker.tokenizer, len(queries.axes)
    total = _count(keys, tokenizer.seen)
    axes = (*queries.axes[:-1], (Factor(KEY, total),))
    result = replace(queries, parts={}, axes=axes, keys=(keys.before, keys.after))
    columns = _late(lambda: _before_tokens(call, tokenizer.together(keys), rank))  # [..., N, D, A + L + 1]
    call.spend(0)

    def make(kind: str) -> Callable[[], gs.Tensor]:
        def score() -> gs.Tensor:
            rows = tokenizer.rows(queries, kind, each=True)
            _charge(call, kind, rows * result.kinds_of_keys, total * _count(queries, tokenizer.seen))
            product = call.branch.op("MatMul", tokenizer.split(queries, kind), columns())
            return tokenizer.merged(product, result, kind)

        return score

    return replace(result, parts={kind: Part(make(kind), each=True) for kind in queries.parts})


def attended(call: Call, weights: Tokens, values: Tokens) -> Tokens:
    """``[..., t, k] @ [..., t, d]``: each query's mean of the values, the resting one counted N - L times."""
    tokenizer, rank = call.stacker.tokenizer, len(weights.axes)
    result = replace(weights, axes=(*weights.axes[:-1], values.axes[-1]), keys=None)
    rows = _late(lambda: tokenizer.together(values))  # [..., N, A + L + 1, D]
    call.spend(0)

    def make(kind: str) -> Callable[[], gs.Tensor]:
        def mean() -> gs.Tensor:
            count = tokenizer.rows(weights, kind, each=True) * weights.kinds_of_keys
            _charge(call, kind, count, _count(values, tokenizer.seen) * _count(weights, tokenizer.seen))
            times = copies(call, weights, rank, rank + 1).numbers()
            counted = call.branch.op("Mul", tokenizer.split(weights, kind), times)
            return tokenizer.merged(call.branch.op("MatMul", counted, rows()), result, kind)

        return mean

    return replace(result, parts={kind: Part(make(kind), each=True) for kind in weights.parts})


def _contracted(call: Call, weights: Tokens, values: Tokens) -> Stacked:
    """``[..., m, t] @ [..., t, d]``: one sum over all tokens per mask, as in class attention."""
    tokenizer, rank = call.stacker.tokenizer, len(weights.axes)
    times = copies(call, values, rank, rank + 1).numbers()
    counted = call.branch.op("Mul", tokenizer.together(weights), times)  # [..., m, N, A + L + 1]
    order = [*range(rank - 2), rank - 1, rank - 2, rank]
    product = call.branch.op("MatMul", call.branch.transpose(counted, order), tokenizer.together(values))
    kinds = values.before + values.after + values.live + 1
    call.spend(call.walk.multiply_adds(call.node) * tokenizer.carried * kinds // _count(values, tokenizer.seen))
    return call.stacked([product], rank - 2)[0]


def _before_tokens(call: Call, value: gs.Tensor, rank: int) -> gs.Tensor:
    """``[..., d, N, tokens]`` as ``[..., N, d, tokens]``."""
    return call.branch.transpose(value, [*range(rank - 2), rank - 1, rank - 2, rank])


def _late(make: Callable[[], gs.Tensor]) -> Callable[[], gs.Tensor]:
    """The same, made when first asked for and then kept."""
    part = Part(make)
    return lambda: part.value


def _count(term: Tokens, patches: int) -> int:
    return term.before + term.after + patches


def _charge(call: Call, kind: str, products: int, of: int) -> None:
    call.walk.charge(call.node, f"{kind} tokens", call.walk.multiply_adds(call.node) * products // of)


# softmax ------------------------------------------------------------------------------------------------------------


@carries(TOKENS, *NORMALISING)
def _normalising(call: Call) -> Answer:
    """Over channels, in each token alone; a softmax over tokens, with the resting one counted N - L times."""
    terms = terms_of(call)
    if isinstance(terms, Misfit):
        return terms
    term = terms[0]
    if not isinstance(term, Tokens) or not call.only_first():
        return Misfit("its weights depend on the mask")
    rank = len(term.axes)
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % rank
    reach = list(range(axis, rank)) if reaches_on(call) else [axis]
    if free(term.axes, reach):
        return each_part(call, terms, [term.axes])
    if call.node.op != "Softmax" or reach != [axis] or len(term.axes[axis]) != 1:
        return TOGETHER
    if axis == place(term.axes, KEY):
        return [over_keys(call, term, axis)]
    return (
        [_over_tokens(call, term, axis)]
        if axis == place(term.axes) and is_apart(term.axes) and not term.keys
        else TOGETHER
    )


def over_keys(call: Call, term: Tokens, axis: int) -> Tokens:
    """Along the keys of attention scores; afterwards every key has again what one token has."""
    tokenizer = call.stacker.tokenizer

    def make(kind: str) -> Callable[[], gs.Tensor]:
        times = copies(call, term, axis, len(term.axes))
        return lambda: _softmax(call, tokenizer.tensor(term.parts[kind]), times, axis)

    return replace(term, parts={kind: Part(make(kind), each=True) for kind in term.parts})


def _over_tokens(call: Call, term: Tokens, axis: int) -> Tokens:
    """Along the tokens themselves, where the queries are none of them."""
    tokenizer = call.stacker.tokenizer
    shares = _softmax(call, tokenizer.together(term), copies(call, term, axis + 1, len(term.axes) + 1), axis + 1)
    return replace(term, parts=tokenizer.untied(shares, term))


def _softmax(call: Call, values: gs.Tensor, times: Copies, axis: int) -> gs.Tensor:
    """``softmax(x + log(times)) / times``."""
    raised = call.branch.op("Add", values, times.logarithms())
    return call.branch.op("Div", call.branch.op("Softmax", raised, axis=axis), times.divisors())
