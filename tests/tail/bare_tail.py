"""A tail and nothing else: a model whose input is the feature map, written node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

Operand: TypeAlias = "str | float | np.generic | NDArray[Any]"
"""The name of a tensor, or values."""
TARGET = "features"
TESTED = "tested"
MICROSOFT = "com.microsoft"


class Tail:
    """Nodes behind :data:`TARGET`, in one opset.

    Args:
        opset: Of ONNX's own operators.
        layout: ``b c h w`` or ``b h w c``.
        sizes: Length per axis letter.
        dynamic: The axis letters whose length the model leaves open.
        seed: Of the features and weights.
    """

    def __init__(self, opset: int, layout: str, sizes: dict[str, int], *, dynamic: str = "", seed: int = 0) -> None:
        self.opset, self.layout, self.sizes, self.dynamic = opset, layout, sizes, dynamic
        self.random = np.random.default_rng(seed)
        self.shape = tuple(sizes[letter] for letter in layout.split())
        self.features = self.normal(*self.shape)
        self.x = TARGET
        self.side: dict[str, NDArray[Any]] = {}
        self.functions: list[onnx.FunctionProto] = []
        self._nodes = [helper.make_node("Identity", ["image"], [TARGET], "target")]
        self._weights: list[onnx.TensorProto] = []

    @property
    def channels(self) -> int:
        return self.sizes["c"]

    @property
    def grid(self) -> tuple[int, int]:
        return self.sizes["h"], self.sizes["w"]

    @property
    def channel_axis(self) -> int:
        return self.layout.split().index("c")

    def normal(self, *shape: int) -> NDArray[np.float32]:
        """Standard normal numbers."""
        return self.random.standard_normal(shape).astype(np.float32)

    def per_channel(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """A vector over channels, shaped to broadcast against the features."""
        return values.reshape(-1, 1, 1) if self.layout == "b c h w" else values

    def op(
        self,
        kind: str,
        *inputs: Operand,
        outputs: int = 1,
        name: str = "",
        domain: str = "",
        **attrs: Any,
    ) -> str:
        """Add a node; arrays and numbers become initializers. The name of its first output."""
        return self.many(kind, *inputs, outputs=outputs, name=name, domain=domain, **attrs)[0]

    def many(
        self,
        kind: str,
        *inputs: Operand,
        outputs: int,
        name: str = "",
        domain: str = "",
        **attrs: Any,
    ) -> list[str]:
        """The same, all its outputs."""
        number = len(self._nodes)
        made = [f"{kind}_{number}_{i}" for i in range(outputs)]
        names = [value if isinstance(value, str) else self.weight(np.asarray(value)) for value in inputs]
        self._nodes.append(helper.make_node(kind, names, made, name or f"{kind}_{number}", domain=domain, **attrs))
        return made

    def weight(self, values: NDArray[Any], name: str = "") -> str:
        """An initializer; double becomes float32."""
        values = values.astype(np.float32) if values.dtype == np.float64 else values
        name = name or f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def input(self, values: NDArray[np.float32]) -> str:
        """Another input, which no mask touches, with the features' batch first."""
        name = f"side_{len(self.side)}"
        self.side[name] = values
        return name

    def tested(self, kind: str, *inputs: Operand, **attrs: Any) -> str:
        """The node that the test is about."""
        return self.op(kind, *inputs, name=TESTED, **attrs)

    def all_of_tested(self, kind: str, *inputs: Operand, outputs: int, **attrs: Any) -> list[str]:
        """The same, all its outputs."""
        return self.many(kind, *inputs, outputs=outputs, name=TESTED, **attrs)

    def axes(self, kind: str, x: str, axes: list[int] | None, since: int, **attrs: Any) -> str:
        """The tested node with ``axes`` as the opset spells them: attribute, or input since ``since``."""
        if axes is None:
            return self.tested(kind, x, **attrs)
        if self.opset < since:
            return self.tested(kind, x, axes=axes, **attrs)
        return self.tested(kind, x, np.array(axes, np.int64), **attrs)

    def model(self, outputs: list[str]) -> onnx.ModelProto:
        """The tail as a file."""
        sizes = [letter if letter in self.dynamic else self.sizes[letter] for letter in self.layout.split()]
        infos = [helper.make_tensor_value_info("image", TensorProto.FLOAT, sizes)]
        for name, values in self.side.items():
            open_batch = [sizes[0], *values.shape[1:]]
            infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, open_batch))
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        imports += [helper.make_opsetid(function.domain, 1) for function in self.functions]
        graph = helper.make_graph(
            self._nodes, "tail", infos, [onnx.ValueInfoProto(name=name) for name in outputs], self._weights
        )
        version = helper.find_min_ir_version_for(imports, ignore_unknown=True)
        version = max(version, 8) if self.functions else version
        model = helper.make_model(graph, opset_imports=imports, functions=self.functions, ir_version=version)
        return _typed(model)


def _typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the element types of its outputs; float where inference does not know. Their shapes stay open."""
    inferred = onnx.shape_inference.infer_shapes(model).graph.output
    for output, known in zip(model.graph.output, inferred, strict=True):
        output.type.tensor_type.elem_type = known.type.tensor_type.elem_type or TensorProto.FLOAT
    return model
