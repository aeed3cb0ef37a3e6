"""Tiny pool-and-linear classifiers, written node by node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SIZE = (12, 16)
GRID = (3, 4)
CHANNELS, CLASSES = 6, 5
make = helper.make_node

_rng = np.random.default_rng(7)
WEIGHTS: dict[str, NDArray[Any]] = {
    "filters": _rng.standard_normal((CHANNELS, 3, 4, 4)).astype(np.float32) / 4,
    "fc.weight": _rng.standard_normal((CLASSES, CHANNELS)).astype(np.float32),
    "fc.bias": _rng.standard_normal(CLASSES).astype(np.float32),
    "image.weight": _rng.standard_normal((CLASSES, 3)).astype(np.float32),
}


@dataclass(frozen=True)
class Plain:
    """A classifier ``[b, 3, 12, 16] -> features [b, 6, 3, 4] -> rows [b, 5] -> scores``.

    Args:
        batch: Declared batch.
        layout: Axes of ``features``.
        ending: Operators after the linear layer, each its own node.
        bypass: Whether the image itself also reaches the score.
        kind: Type of ``features``.
        unknown_size: Whether height and width are undeclared.
    """

    batch: int | str = "b"
    layout: str = "b c h w"
    ending: tuple[str, ...] = ()
    bypass: bool = False
    kind: int = TensorProto.FLOAT
    unknown_size: bool = False

    def build(self) -> onnx.ModelProto:
        """The model, with one metadata entry of its own."""
        weights = {name: array for name, array in WEIGHTS.items() if name != "image.weight" or self.bypass}
        weights |= {"any": np.array([-1])} if self.flat else {}
        tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        size = ["height", "width"] if self.unknown_size else SIZE
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [self.batch, 3, *size])
        shape = [CLASSES] if self.flat else [self.batch, CLASSES]
        scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)
        nodes = [*self._features(), *self._rows(), *self._ending()]
        graph = helper.make_graph(nodes, "plain", [image], [scores], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, {"author": "a test"})
        return model

    @property
    def flat(self) -> bool:
        """Whether the scores have lost their batch axis."""
        return "Reshape" in self.ending

    def _features(self) -> Iterator[onnx.NodeProto]:
        yield make("Conv", ["image", "filters"], ["conv"], name="conv", strides=[4, 4])
        yield make("Relu", ["conv"], ["map"], name="relu")
        order = [0, 2, 3, 1] if self.layout == "b h w c" else [0, 1, 2, 3]
        yield make("Transpose", ["map"], ["moved"], perm=order)
        yield make("Cast", ["moved"], ["features"], name="features", to=self.kind)
        yield make("Cast", ["features"], ["float"], to=TensorProto.FLOAT)

    def _rows(self) -> Iterator[onnx.NodeProto]:
        axes = [1, 2] if self.layout == "b h w c" else [2, 3]
        yield make("ReduceMean", ["float"], ["pooled"], axes=axes, keepdims=0)
        yield make("Gemm", ["pooled", "fc.weight", "fc.bias"], ["linear"], transB=1, name="fc")
        if not self.bypass:
            yield make("Identity", ["linear"], ["rows"])
            return
        yield make("ReduceMean", ["image"], ["colour"], axes=[2, 3], keepdims=0)
        yield make("Gemm", ["colour", "image.weight"], ["other"], transB=1)
        yield make("Add", ["linear", "other"], ["rows"])

    def _ending(self) -> Iterator[onnx.NodeProto]:
        last = "rows"
        for number, operator in enumerate(self.ending):
            inputs = [last, "any"] if operator == "Reshape" else [last]
            last = f"{operator}{number}"
            attributes: dict[str, Any] = {"axis": 1} if "Softmax" in operator else {}
            yield make(operator, inputs, [last], **attributes)
        yield make("Identity", [last], ["scores"])
