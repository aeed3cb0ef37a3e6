"""Tails that networks of tokens are made of, by what must become of them: tokens in parts to the end, or widened where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from token_tail import CHANNELS, DEPTH, HEADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from token_tail import TokenTail


@dataclass(frozen=True)
class TokenCase:
    """One tail.

    Args:
        build: Writes it; answers with the outputs to compare.
        widened: Why the first node that had to be multiplied out was, as a regular expression; nothing if none was.
        since: The first opset that has its operators.
        aux: Numbers of tokens before and after the patches that make sense; any if None.
        first: The axis that comes first.
    """

    build: Callable[[TokenTail], str | list[str]]
    widened: str = ""
    since: int = 13
    aux: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (2, 0), (0, 1), (1, 2), (5, 0))
    first: str = "b"

    def __str__(self) -> str:
        return self.build.__name__.replace("_", "-")


def mlp(t: TokenTail) -> str:
    x = t.linear(t.norm(t.x), 4)
    half = t.op("Mul", x, np.float32(0.5))
    gelu = t.op("Mul", half, t.op("Add", t.op("Erf", t.op("Div", x, np.float32(1.4142))), np.float32(1)))
    return t.op("MatMul", gelu, t.normal(4, 5))


def one_block(t: TokenTail) -> str:
    return t.block(t.x)


def three_blocks(t: TokenTail) -> str:
    return t.block(t.block(t.block(t.x)))


def class_token(t: TokenTail) -> str:
    return t.class_token(t.norm(t.block(t.block(t.x))))


def class_token_at_once(t: TokenTail) -> str:
    return t.linear(t.class_token(t.norm(t.x)))


def fused_projection(t: TokenTail) -> str:
    split = t.reshape(t.linear(t.x, 3 * CHANNELS), 0, t.tokens, 3, HEADS, DEPTH)
    parts = t.many("Split", t.op("Transpose", split, perm=[2, 0, 3, 1, 4]), np.array([1, 1, 1]), outputs=3, axis=0)
    query, key, value = (t.op("Squeeze", part, np.array([0])) for part in parts)
    root = np.float32(DEPTH**-0.25)
    key = t.op("Mul", t.op("Transpose", key, perm=[0, 1, 3, 2]), root)
    found = t.op("MatMul", t.op("Mul", query, root), key)
    return t.joined(t.op("MatMul", t.op("Softmax", found, axis=-1), value), t.tokens)


def gathered_projection(t: TokenTail) -> str:
    split = t.reshape(t.linear(t.x, 3 * CHANNELS), 0, t.tokens, 3, HEADS, DEPTH)
    moved = t.op("Transpose", split, perm=[2, 0, 3, 1, 4])
    query, key, value = (t.op("Gather", moved, np.array(i), axis=0) for i in range(3))
    found = t.op("MatMul", query, t.op("Transpose", key, perm=[0, 1, 3, 2]))
    shares = t.op("Softmax", t.op("Mul", found, np.float32(0.5)), axis=-1)
    shares = t.op("Where", t.op("IsNaN", shares), np.float32(0), shares)
    return t.class_token(t.joined(t.op("MatMul", shares, value), t.tokens))


def tokens_first(t: TokenTail) -> str:
    """As torch's MultiheadAttention writes it: batch and heads along one axis, weights on tokens and images along one."""
    flat = t.reshape(t.x, -1, CHANNELS)
    query, key, value = (
        t.op(
            "Transpose",
            t.reshape(t.op("Gemm", flat, t.normal(CHANNELS, CHANNELS), t.normal(CHANNELS)), t.tokens, -1, DEPTH),
            perm=[1, 0, 2],
        )
        for _ in range(3)
    )
    shares = t.op("Softmax", t.op("MatMul", query, t.op("Transpose", key, perm=[0, 2, 1])), axis=-1)
    mixed = t.op("Transpose", t.op("MatMul", shares, value), perm=[1, 0, 2])
    out = t.op("Gemm", t.reshape(mixed, -1, CHANNELS), t.normal(CHANNELS, CHANNELS), t.normal(CHANNELS))
    return t.op("Add", t.x, t.reshape(out, t.tokens, -1, CHANNELS))


def talking_heads(t: TokenTail) -> str:
    query, key, value = (t.by_head(t.linear(t.x)) for _ in range(3))
    found = t.op("MatMul", query, t.op("Transpose", key, perm=[0, 1, 3, 2]))

    def talk(x: str) -> str:
        last = t.op("MatMul", t.op("Transpose", x, perm=[0, 2, 3, 1]), t.normal(HEADS, HEADS))
        return t.op("Transpose", t.op("Add", last, t.normal(HEADS)), perm=[0, 3, 1, 2])

    shares = talk(t.op("Softmax", talk(found), axis=-1))
    return t.joined(t.op("MatMul", shares, value), t.tokens)


def spelled_softmax(t: TokenTail) -> str:
    query, key, value = (t.by_head(t.linear(t.x)) for _ in range(3))
    found = t.op("MatMul", query, t.op("Transpose", key, perm=[0, 1, 3, 2]))
    power = t.op("Exp", t.op("Sub", found, t.reduced("ReduceMax", found, -1)))
    shares = t.op("Div", power, t.reduced("ReduceSum", power, -1))
    return t.joined(t.op("MatMul", shares, value), t.tokens)


def attention_pool(t: TokenTail) -> str:
    """A learned query."""
    key, value = (t.by_head(t.linear(t.block(t.x))) for _ in range(2))
    found = t.op("MatMul", t.normal(1, HEADS, 1, DEPTH), t.op("Transpose", key, perm=[0, 1, 3, 2]))
    return t.joined(t.op("MatMul", t.op("Softmax", found, axis=-1), value), 1)


def class_attention(t: TokenTail) -> str:
    """The class token joins the patches, looks at them, and does so once more."""
    one = t.input(t.normal(t.sizes["b"], 1, CHANNELS))
    for _ in range(2):
        joined = t.norm(t.op("Concat", one, t.x, axis=1))
        query = t.reshape(t.linear(t.class_token(joined)), -1, 1, HEADS, DEPTH)
        key, value = (
            t.op("Transpose", t.reshape(t.linear(joined), 0, t.tokens + 1, HEADS, DEPTH), perm=[0, 2, 1, 3])
            for _ in range(2)
        )
        found = t.op("MatMul", t.op("Transpose", query, perm=[0, 2, 1, 3]), t.op("Transpose", key, perm=[0, 1, 3, 2]))
        seen = t.joined(t.op("MatMul", t.op("Softmax", found, axis=-1), value), 1)
        one = t.op("Add", one, t.linear(seen))
    return t.class_token(t.op("Concat", one, t.x, axis=1))


def mean(t: TokenTail) -> str:
    return t.reduced("ReduceMean", t.block(t.x), 1, keepdims=0)


def mean_at_once(t: TokenTail) -> str:
    return t.reduced("ReduceMean", t.linear(t.x), 1)


def largest(t: TokenTail) -> str:
    return t.reduced("ReduceMax", t.linear(t.x), 1)


def total(t: TokenTail) -> str:
    return t.reduced("ReduceSum", t.block(t.x), 1, keepdims=0)


def pooled_channels_first(t: TokenTail) -> str:
    first = t.op("Transpose", t.block(t.x), perm=[0, 2, 1])
    return t.op("GlobalAveragePool", t.op("Conv", first, t.normal(4, CHANNELS, 1), t.normal(4)))


def patches_alone(t: TokenTail) -> str:
    before, after = t.aux
    cut = t.op("Slice", t.block(t.x), np.array([before]), np.array([t.tokens - after]), np.array([1]))
    return t.reduced("ReduceMean", cut, 1)


def split_class_token(t: TokenTail) -> list[str]:
    one, others = t.many("Split", t.block(t.x), np.array([1, t.tokens - 1]), outputs=2, axis=1)
    return [one, t.op("Relu", others)]


def both_heads(t: TokenTail) -> str:
    x = t.block(t.x)
    first, second = (t.linear(t.op("Gather", x, np.array(i), axis=1)) for i in range(2))
    return t.op("Div", t.op("Add", first, second), np.float32(2))


def more_tokens(t: TokenTail) -> str:
    one, two = (t.input(t.normal(t.sizes["b"], count, CHANNELS)) for count in (1, 2))
    joined = t.op("Concat", one, t.block(t.x), two, axis=1)
    return t.op("Softplus", joined)


def channels_joined(t: TokenTail) -> str:
    x = t.block(t.x)
    first, second = (t.op("Slice", x, np.array([i]), np.array([i + 3]), np.array([2])) for i in (0, 3))
    return t.op("MatMul", t.op("Concat", t.op("Neg", second), first, axis=2), t.normal(CHANNELS, 2))


def batch_normalised(t: TokenTail) -> str:
    vectors = [t.normal(CHANNELS) for _ in range(3)]
    scale = t.op("BatchNormalization", t.reshape(t.x, -1, CHANNELS), *vectors, np.abs(t.normal(CHANNELS)) + 1)
    return t.op("Dropout", t.attention(t.reshape(scale, -1, t.tokens, CHANNELS)))


def expanded(t: TokenTail) -> str:
    return t.op("Expand", t.block(t.x), np.array([1, t.tokens, CHANNELS]))


def cross_covariance(t: TokenTail) -> str:
    """XCiT: channels look at channels."""
    query, key, value = (t.op("Transpose", t.by_head(t.linear(t.x)), perm=[0, 1, 3, 2]) for _ in range(3))
    found = t.op("MatMul", query, t.op("Transpose", key, perm=[0, 1, 3, 2]))
    return t.op("MatMul", t.op("Softmax", found, axis=-1), value)


def as_a_map(t: TokenTail) -> str:
    laid = t.reshape(t.linear(t.x), -1, *t.patches, CHANNELS)
    return t.op("GlobalAveragePool", t.op("Transpose", laid, perm=[0, 3, 1, 2]))


def one_operator(t: TokenTail) -> str:
    operands = [t.by_head(t.linear(t.x)) for _ in range(3)]
    return t.joined(t.op("Attention", *operands), t.tokens)


def one_operator_flat(t: TokenTail) -> str:
    operands = [t.linear(t.x) for _ in range(3)]
    return t.class_token(t.op("Attention", *operands, q_num_heads=HEADS, kv_num_heads=HEADS, scale=0.3))


def multi_head_attention(t: TokenTail) -> str:
    return t.op("MultiHeadAttention", *[t.linear(t.x) for _ in range(3)], domain="com.microsoft", num_heads=HEADS)


def position_embedding(t: TokenTail) -> str:
    return t.class_token(t.block(t.op("Add", t.x, t.normal(1, t.tokens, CHANNELS))))


def relative_position(t: TokenTail) -> str:
    return t.attention(t.block(t.x), bias=t.normal(1, HEADS, t.tokens, t.tokens))


def mixer(t: TokenTail) -> str:
    turned = t.op("Transpose", t.block(t.x), perm=[0, 2, 1])
    return t.op("MatMul", turned, t.normal(t.tokens, 3))


def some_patches(t: TokenTail) -> str:
    return t.op("Gather", t.block(t.x), np.array([t.tokens // 2, 0]), axis=1)


def product_of_tokens(t: TokenTail) -> str:
    return t.reduced("ReduceProd", t.block(t.x), 1, keepdims=0)


FRONT = ((1, 0), (2, 0), (1, 2))
CASES = [
    *(TokenCase(build) for build in (mlp, one_block, three_blocks, fused_projection, talking_heads, spelled_softmax)),
    *(TokenCase(build) for build in (attention_pool, class_attention, mean, mean_at_once, largest, total)),
    *(TokenCase(build) for build in (pooled_channels_first, patches_alone, more_tokens, channels_joined)),
    *(TokenCase(build) for build in (batch_normalised, expanded, cross_covariance)),
    *(
        TokenCase(build, aux=FRONT)
        for build in (class_token, class_token_at_once, gathered_projection, split_class_token)
    ),
    TokenCase(both_heads, aux=((2, 0), (2, 1))),
    TokenCase(tokens_first, first="t"),
    TokenCase(as_a_map, aux=((0, 0),)),
    TokenCase(one_operator, since=23),
    TokenCase(one_operator_flat, since=23, aux=FRONT),
    TokenCase(multi_head_attention),
    TokenCase(position_embedding, "it adds or multiplies values that differ between tokens", aux=FRONT),
    TokenCase(relative_position, "it adds or multiplies values that differ between tokens"),
    TokenCase(mixer, "it mixes tokens"),
    TokenCase(some_patches, "it picks among cells"),
    TokenCase(product_of_tokens, "no short form of ReduceProd"),
]
