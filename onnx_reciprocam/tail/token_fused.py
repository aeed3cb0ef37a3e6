"""Attention as one operator: taken apart into the products and the softmax that it stands for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from onnx_reciprocam.tail.axes import permute, regroup
from onnx_reciprocam.tail.registry import TOKENS, carries
from onnx_reciprocam.tail.terms import Misfit, Part, Tokens
from onnx_reciprocam.tail.token_mixing import attended, dtype_of, over_keys, scores
from onnx_reciprocam.tail.token_parts import unlike
from onnx_reciprocam.tail.tokens import is_apart, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.call import Call


@carries(TOKENS, "Attention", "com.microsoft:MultiHeadAttention")
def _attention(call: Call) -> list[Tokens] | Misfit:
    """``softmax(q k^T * scale) v`` over ``[B, heads, T, d]``, or over ``[B, T, heads * d]`` with the heads as an attribute."""
    if len(call.terms) > 3 and any(term is not None for term in call.terms[3:]):
        return Misfit("its scores have a mask or a bias")
    if any(call.attr(name, 0) for name in ("is_causal", "softcap", "unidirectional")) or len(call.node.outputs) != 1:
        return Misfit("it is causal, capped, or keeps its scores")
    heads = [call.attr(name) for name in ("q_num_heads", "kv_num_heads")]
    heads = [call.attr("num_heads")] * 2 if "num_heads" in call.node.attrs else heads
    operands = [_by_head(call, i, heads[i > 0]) for i in range(3)]
    query, keys, values = (term for term in operands if term is not None) if None not in operands else (None,) * 3
    if query is None or keys is None or values is None or unlike(query, keys) or unlike(query, values):
        return Misfit("its operands are no tokens of the same kind")
    if query.axes[1] != keys.axes[1]:
        return Misfit("several heads share their keys")
    depth = math.prod(factor.size for factor in query.axes[3])
    scale = call.attr("scale") or 1 / math.sqrt(depth)
    transposed = _permuted(call, keys, [0, 1, 3, 2])
    weights = over_keys(call, _scaled(call, scores(call, query, transposed), scale), 3)
    result = attended(call, weights, values)
    return [result if len(call.result()) == 4 else _joined(call, result)]


def _by_head(call: Call, i: int, heads: int | None) -> Tokens | None:
    """Input ``i`` as ``b head t d``."""
    term = call.terms[i]
    if not isinstance(term, Tokens):
        return None
    if len(term.axes) == 3 and heads:
        batch, tokens, channels = call.shape(i)
        axes = regroup(term.axes, (batch, tokens, heads, channels // heads))
        term = None if axes is None else _permuted(call, call.stacker.tokenizer.relaid(term, axes), [0, 2, 1, 3])
    fits = term is not None and len(term.axes) == 4 and is_apart(term.axes) and place(term.axes) == 2
    return term if fits else None


def _joined(call: Call, term: Tokens) -> Tokens:
    """``b head t d`` as ``b t (head d)``."""
    loose = _permuted(call, term, [0, 2, 1, 3])
    batch, tokens, *channels = loose.axes
    return call.stacker.tokenizer.relaid(loose, (batch, tokens, tuple(f for axis in channels for f in axis)))


def _permuted(call: Call, term: Tokens, perm: Sequence[int]) -> Tokens:
    return replace(_each(call, term, lambda value: call.branch.transpose(value, perm)), axes=permute(term.axes, perm))


def _scaled(call: Call, term: Tokens, scale: float) -> Tokens:
    factor = call.branch.constant(scale, dtype_of(call), hint="scale")
    return _each(call, term, lambda value: call.branch.op("Mul", value, factor))


def _each(call: Call, term: Tokens, change: Callable[[gs.Tensor], gs.Tensor]) -> Tokens:
    """Every part changed alike."""

    def changed(part: Part) -> Part:
        return Part(lambda: change(call.stacker.tokenizer.tensor(part)), part.each)

    return replace(term, parts={kind: changed(part) for kind, part in term.parts.items()})
