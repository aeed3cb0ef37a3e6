"""A tail behind tokens instead of a map, and the two ways of one test: carried by the walk, and run on masked copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bare_tail import TARGET, Tail
from carried import FLOAT32, Carried, session

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.graph import Branch, Model, probe
from onnx_reciprocam.masks import masked_copies
from onnx_reciprocam.methods.reciprocam import masked
from onnx_reciprocam.tail import Walk, axes_of

if TYPE_CHECKING:
    from bare_tail import Operand
    from numpy.typing import NDArray

HEADS, DEPTH = 2, 3
CHANNELS = HEADS * DEPTH


class TokenTail(Tail):
    """Features ``b t c`` (or ``t b c``): auxiliary tokens around the patches of a grid.

    Args:
        opset: Of ONNX's own operators.
        grid: Patches down and across.
        aux: Tokens before and after the patches.
        batch: Images.
        dynamic: Whether the model leaves the batch open.
        first: The axis that comes first, ``b`` or ``t``.
        seed: Of the features and weights.
    """

    def __init__(
        self,
        opset: int,
        grid: tuple[int, int],
        aux: tuple[int, int] = (1, 0),
        *,
        batch: int = 2,
        dynamic: bool = True,
        first: str = "b",
        seed: int = 0,
    ) -> None:
        self.patches, self.aux = grid, aux
        sizes = {"b": batch, "t": sum(aux) + grid[0] * grid[1], "c": CHANNELS}
        layout = "b t c" if first == "b" else "t b c"
        super().__init__(opset, layout, sizes, dynamic="b" if dynamic else "", seed=seed)

    @property
    def tokens(self) -> int:
        return self.sizes["t"]

    @property
    def text(self) -> str:
        """The layout as the metadata has it."""
        before, after = (str(count) if count else "" for count in self.aux)
        return self.layout.replace("t", "+".join(filter(None, (before, "hw", after))))

    def copies(self, mask: str) -> NDArray[np.float32]:
        """Every masked copy of the features, ``[N, *features]``."""
        tokens = self.features if self.layout == "b t c" else self.features.transpose(1, 0, 2)
        before, after = self.aux
        patches = tokens[:, before : self.tokens - after]
        cells = patches.transpose(0, 2, 1).reshape(len(tokens), CHANNELS, *self.patches)
        kept = masked_copies(cells, mask, *self.patches)
        rows = kept.reshape(*kept.shape[:3], -1).transpose(0, 1, 3, 2)
        around = [
            np.broadcast_to(part, (len(rows), *part.shape))
            for part in (tokens[:, :before], tokens[:, self.tokens - after :])
        ]
        whole = np.concatenate([around[0], rows, around[1]], axis=2)
        return whole if self.layout == "b t c" else whole.transpose(0, 2, 1, 3)

    # what networks are made of ------------------------------------------------------------------------------------

    def linear(self, x: str, outputs: int = CHANNELS) -> str:
        """``x @ W + b``."""
        return self.op("Add", self.op("MatMul", x, self.normal(CHANNELS, outputs) / 2), self.normal(outputs))

    def by_head(self, x: str) -> str:
        """``b t (head d)`` as ``b head t d``."""
        split = self.reshape(x, 0, self.tokens, HEADS, DEPTH)
        return self.op("Transpose", split, perm=[0, 2, 1, 3])

    def reshape(self, x: str, *sizes: int) -> str:
        return self.op("Reshape", x, np.array(sizes, np.int64))

    def reduced(self, kind: str, x: str, axis: int, **attrs: int) -> str:
        """A reduction, its axis as the opset spells it."""
        if self.opset < (13 if kind == "ReduceSum" else 18):
            return self.op(kind, x, axes=[axis], **attrs)
        return self.op(kind, x, np.array([axis], np.int64), **attrs)

    def joined(self, x: str, tokens: int) -> str:
        """``b head t d`` as ``b t (head d)``."""
        return self.reshape(self.op("Transpose", x, perm=[0, 2, 1, 3]), 0, tokens, CHANNELS)

    def attention(self, x: str, bias: Operand | None = None) -> str:
        """Self-attention with separate projections."""
        query, key, value = (self.by_head(self.linear(x)) for _ in range(3))
        found = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 3, 2]))
        found = found if bias is None else self.op("Add", found, bias)
        return self.joined(self.op("MatMul", self.op("Softmax", found, axis=-1), value), self.tokens)

    def block(self, x: str) -> str:
        """A residual block."""
        x = self.op("Add", x, self.linear(self.attention(self.norm(x))))
        return self.op("Add", x, self.linear(self.op("Relu", self.linear(self.norm(x)))))

    def norm(self, x: str) -> str:
        if self.opset < 17:
            centred = self.op("Sub", x, self.reduced("ReduceMean", x, -1))
            spread = self.reduced("ReduceMean", self.op("Pow", centred, np.float32(2)), -1)
            return self.op("Div", centred, self.op("Sqrt", self.op("Add", spread, np.float32(1e-5))))
        return self.op("LayerNormalization", x, self.normal(CHANNELS), self.normal(CHANNELS), axis=-1)

    def class_token(self, x: str) -> str:
        """What a class-token head reads."""
        return self.op("Gather", x, np.array(0), axis=1)


def naive_tokens(tail: TokenTail, outputs: list[str], mask: str = "pixel") -> list[NDArray[Any]]:
    """Each output under every mask, ``[N, *shape]``: one run of the plain model per masked copy."""
    plain = session(tail.model(outputs))
    runs = [plain.run(None, {"image": copy, **tail.side}) for copy in tail.copies(mask)]
    return [np.stack(values) for values in zip(*runs, strict=True)]


def carry_tokens(tail: TokenTail, outputs: list[str], mask: str = "pixel", *, slow: bool = False) -> Carried:
    """Walk from the masked tokens to ``outputs``."""
    model = Model(tail.model(outputs), "the tail", None, "")
    shapes, branch = probe(model), Branch(model)
    target = model.tensors[TARGET]
    walk = Walk(model, shapes, branch, target, grid=tail.patches, copies=tail.patches[0] * tail.patches[1])
    walk.start(masked(walk, axes_of(tail.text, walk.seen(target)), Mask(mask), FLOAT32, naive=slow))
    tensors = [model.tensors[name] for name in outputs]
    stacks = [walk.stacker.stack(walk.term(tensor), walk.static(tensor)) for tensor in tensors]
    fronts = [branch.op("Identity", walk.stacker.front(stack)) for stack in stacks]
    return Carried(walk, model.appended(branch.export([], fronts), {}), tail, [front.name for front in fronts])


def assert_exact(got: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> None:
    """Equal up to the rounding of the largest value: sums over tokens cancel, so the smallest say nothing."""
    for value, expected in zip(got, wanted, strict=True):
        assert value.shape == expected.shape
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
