"""Tokens of a picture whose size the file leaves open: how many there are only a run tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from bare_tail import Tail
from carried import FLOAT32, session
from onnx import TensorProto, helper
from token_tail import CHANNELS, TokenTail

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.graph import Branch, Model, probe
from onnx_reciprocam.masks import pixel_masks
from onnx_reciprocam.methods.reciprocam import masked
from onnx_reciprocam.rewriter.layout import layouts
from onnx_reciprocam.tail import Walk, axes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATCH = 16


class OpenTail(TokenTail):
    """A picture cut into patches, with auxiliary tokens around them that are fed.

    Args:
        opset: Of ONNX's own operators.
        aux: Tokens before and after the patches.
        seed: Of the weights.
    """

    def __init__(self, opset: int, aux: tuple[int, int], *, seed: int = 0) -> None:
        Tail.__init__(self, opset, "b c h w", {"b": 2, "c": 3, "h": PATCH, "w": PATCH}, dynamic="bhw", seed=seed)
        self.aux = aux
        kernel = self.normal(CHANNELS, 3, PATCH, PATCH) / PATCH
        self.map = self.op("Conv", self.x, kernel, strides=[PATCH, PATCH])
        rows = self.op("Transpose", self.reshape(self.map, 0, CHANNELS, -1), perm=[0, 2, 1])
        first, last = (self.input(self.normal(2, count, CHANNELS)) if count else "" for count in aux)
        joined = [name for name in (first, rows, last) if name]
        self.x = rows if len(joined) == 1 else self.op("Concat", *joined, axis=1)

    @property
    def tokens(self) -> int:
        """What a Reshape makes of it in every run."""
        return -1

    def picture(self, grid: tuple[int, int]) -> NDArray[np.float32]:
        """Of so many patches."""
        return self.normal(2, 3, *(side * PATCH for side in grid))

    def model(self, outputs: list[str]) -> onnx.ModelProto:
        """Auxiliary tokens are as many as they are; images alone are open."""
        model = super().model(outputs)
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["b", 3, "h", "w"])
        model.graph.input[0].CopyFrom(image)
        return model


def open_naive(tail: OpenTail, outputs: list[str], picture: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Each output under every mask: the plain model on pictures that are black but for one patch."""
    plain = session(tail.model(outputs))
    grid = [side // PATCH for side in picture.shape[2:]]
    masks = np.kron(pixel_masks(*grid), np.ones((1, PATCH, PATCH), np.float32))
    runs = [plain.run(None, {"image": picture * mask, **tail.side}) for mask in masks]
    return [np.stack(values) for values in zip(*runs, strict=True)]


def open_carry(tail: OpenTail, outputs: list[str]) -> tuple[Walk, onnx.ModelProto, list[str]]:
    """The walk, the model with the branch that gives each output as ``[N, *shape]``, and the names of those."""
    model = Model(tail.model(outputs), "the tail", None, "")
    shapes, branch = probe(model, (2 * PATCH, 3 * PATCH)), Branch(model)
    layout = layouts(model, shapes)[tail.x]
    target, sides = model.tensors[tail.x], branch.sizes(model.tensors[tail.map], (2, CHANNELS, None, None))[2:]
    walk = Walk(model, shapes, branch, target, grid=(sides[0], sides[1]), copies=6)
    walk.start(masked(walk, axes_of(layout.text, walk.seen(target)), Mask.PIXEL, FLOAT32))
    tensors = [model.tensors[name] for name in outputs]
    stacks = [walk.stacker.stack(walk.term(tensor), walk.static(tensor)) for tensor in tensors]
    fronts = [branch.op("Identity", walk.stacker.front(stack)) for stack in stacks]
    return walk, model.appended(branch.export([], fronts), {}), [front.name for front in fronts]
