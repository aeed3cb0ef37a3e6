"""Nodes to be added to a model: one method per operator needed, in the spelling of the file's own opset."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx_reciprocam.refusals import LocalFunctionError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from onnx_reciprocam.graph.model import Model

Size: TypeAlias = "int | gs.Tensor"
"""One length: known now, or an int64 tensor ``[1]`` at run time."""


_WIDER = {
    **dict.fromkeys(("int8", "int16", "uint16"), np.int32),
    **dict.fromkeys(("bool", "uint32", "uint64"), np.int64),
    "bfloat16": np.float32,
}
"""For each type that onnxruntime's Where does not take, one that it takes and that holds the same values."""


class Branch:
    """A growing list of new nodes that read the model's tensors and never change them.

    Args:
        model: What the nodes are added to; its opset decides how an operator is spelled.
        namespace: Begins every new name; a number is added until no name of the model clashes.
        half: The model's tensors that are read through a ``Sum`` of one, which changes nothing. onnxruntime's CPU provider
            runs a float16 operator in float32 if it knows no float16 operator among the neighbours; a Sum it does not
            know either, and so the original's nodes run as they did.
    """

    def __init__(self, model: Model, namespace: str = "reciprocam", *, half: Container[str] = ()) -> None:
        self.opset, self._file, self._half = model.opset, model, half
        self.namespace = free_name(namespace, {name.split("/")[0] for name in model.names()}) + "/"
        self.nodes: list[gs.Node] = []
        self._copies: list[gs.Node] = []
        self._made: set[str] = set()
        self._read: dict[str, gs.Variable] = {}
        self._constants: dict[tuple[str, bytes, tuple[int, ...]], gs.Constant] = {}
        self._counts: dict[str, int] = {}

    # names and plumbing ------------------------------------------------------------------------------------------

    def name(self, hint: str) -> str:
        """A new name that says what it is for."""
        count = self._counts[hint] = self._counts.get(hint, -1) + 1
        return f"{self.namespace}{hint}" + (f"_{count}" if count else "")

    def read(self, tensor: gs.Tensor) -> gs.Tensor:
        """``tensor`` itself if made here, else a stand-in for the model's, whose own graph must not change."""
        if not tensor.name or tensor.name in self._made:
            return tensor
        if tensor.name not in self._read:
            for node in self._file.unwritten(tensor):
                self._make_again(node)
            if tensor.name not in self._read:
                stand_in = gs.Variable(tensor.name)
                self._read[tensor.name] = self._apart(stand_in) if tensor.name in self._half else stand_in
        return self._read[tensor.name]

    def _apart(self, tensor: gs.Variable) -> gs.Variable:
        """The same values behind a node of its own."""
        name = self.name("float16")
        copy = gs.Variable(f"{name}_output_0")
        self._made.add(copy.name)
        self._copies.append(gs.Node("Sum", name, {}, [tensor], [copy]))
        return copy

    def nested(self, name: str) -> Branch:
        """A branch for a subgraph of this one: what is read apart is read outside of it."""
        inner = Branch(self._file, f"{self.namespace}{name}", half=self._half)
        inner._read, inner._copies, inner._made = self._read, self._copies, self._made
        return inner

    def _make_again(self, node: gs.Node) -> None:
        """A node that the file has only inside another."""
        if any(output.name in self._read for output in node.outputs):
            return
        if any(True for _ in node.subgraphs()):
            raise LocalFunctionError(
                f"{node.op} inside a local function makes {node.outputs[0].name!r}, which the maps need",
                "Inline the functions first: onnx.inliner.inline_local_functions(model)",
            )
        made = self.emit(node.op, node.inputs, outputs=len(node.outputs), domain=node.domain or "", **node.attrs)
        self._read.update((output.name, new) for output, new in zip(node.outputs, made, strict=True) if output.name)

    def input(self, tensor: gs.Tensor) -> gs.Tensor:
        """A new input of the file, under a name of its own."""
        self._made.add(tensor.name)
        return tensor

    def constant(self, values: Any, dtype: DTypeLike = np.int64, hint: str = "constant") -> gs.Constant:
        """A constant; equal ones are one tensor."""
        array: NDArray[np.generic] = np.ascontiguousarray(np.asarray(values, dtype))
        array = array.reshape(np.shape(values))  # ascontiguousarray makes scalars vectors
        key = (str(array.dtype), array.tobytes(), array.shape)
        if key not in self._constants:
            tensor = gs.Constant(self.name(hint), array)
            self._made.add(tensor.name)
            self._constants[key] = tensor
        return self._constants[key]

    def emit(
        self, op: str, inputs: Sequence[gs.Tensor], *, outputs: int = 1, domain: str = "", hint: str = "", **attrs: Any
    ) -> list[gs.Variable]:
        """Add a node and return its outputs."""
        name = self.name(hint or op)
        made = [gs.Variable(f"{name}_output_{i}") for i in range(outputs)]
        self._made.update(tensor.name for tensor in made)
        read = [self.read(tensor) for tensor in inputs]
        self.nodes.append(gs.Node(op, name, attrs, read, made, domain=domain or None))
        return made

    def op(self, op: str, *inputs: gs.Tensor, **attrs: Any) -> gs.Variable:
        """Add a node with one output."""
        return self.emit(op, inputs, **attrs)[0]

    # lengths -----------------------------------------------------------------------------------------------------

    def vector(self, sizes: Iterable[Size]) -> gs.Tensor:
        """An int64 vector of lengths, constant as far as they are known."""
        sizes = list(sizes)
        if all(isinstance(size, int) for size in sizes):
            return self.constant(sizes, hint="shape")
        return self.concat([self.length(size) for size in sizes], 0)

    def plus(self, size: Size, more: int) -> Size:
        """A length and ``more``."""
        if isinstance(size, int):
            return size + more
        return self.op("Add", size, self.constant([more])) if more else size

    def product(self, sizes: Iterable[Size]) -> Size:
        """The product of lengths."""
        sizes = list(sizes)
        known = math.prod(size for size in sizes if isinstance(size, int))
        result: Size = known
        for size in (size for size in sizes if not isinstance(size, int)):
            known_one = isinstance(result, int) and result == 1
            result = size if known_one else self.op("Mul", self.length(result), size)
        return result

    def length(self, size: Size) -> gs.Tensor:
        """int64 ``[1]``."""
        return self.constant([size]) if isinstance(size, int) else size

    def sizes(self, tensor: gs.Tensor, known: Sequence[int | None]) -> list[Size]:
        """The lengths of ``tensor``: ``known`` where given, read at run time elsewhere."""
        if None not in known:
            return [size for size in known if size is not None]
        shape = self.op("Shape", tensor)
        return [self.slice(shape, i, i + 1, 0) if size is None else size for i, size in enumerate(known)]

    def range(self, size: Size) -> gs.Tensor:
        """``[0, 1, ..., size - 1]``, int64 ``[size]``."""
        if isinstance(size, int):
            return self.constant(np.arange(size), hint="cells")
        ones = self.op("ConstantOfShape", size, value=gs.Constant("ones", np.ones(1, np.int64)))
        return self.reshape(self.op("NonZero", ones), [-1])  # Range comes with opset 11 only

    # operators whose spelling changed ----------------------------------------------------------------------------

    def reshape(self, x: gs.Tensor, sizes: Iterable[Size]) -> gs.Variable:
        """``x`` with these lengths; -1 and 0 as in ONNX."""
        return self.op("Reshape", x, self.vector(sizes))

    def transpose(self, x: gs.Tensor, perm: Sequence[int]) -> gs.Tensor:
        """``x`` itself if nothing moves."""
        return x if list(perm) == sorted(perm) else self.op("Transpose", x, perm=list(perm))

    def concat(self, tensors: Sequence[gs.Tensor], axis: int) -> gs.Variable:
        """Joined along ``axis``."""
        return self.op("Concat", *tensors, axis=axis)

    def slice(self, x: gs.Tensor, start: Size, end: Size, axis: int) -> gs.Variable:
        """``x[start:end]`` along ``axis``; before opset 10 the bounds must be known."""
        if self.opset < 10:
            return self.op("Slice", x, starts=[start], ends=[end], axes=[axis])
        return self.op("Slice", x, self.length(start), self.length(end), self.constant([axis]))

    def unsqueeze(self, x: gs.Tensor, axes: Sequence[int]) -> gs.Tensor:
        """New axes of length 1; positions in the result, not negative."""
        if not axes:
            return x
        return self._with_axes("Unsqueeze", x, axes, since=13)

    def reduce(self, op: str, x: gs.Tensor, axes: Sequence[int], *, keepdims: bool) -> gs.Variable:
        """``ReduceSum``, ``ReduceMean`` and their family over ``axes``, not negative."""
        return self._with_axes(op, x, axes, since=13 if op == "ReduceSum" else 18, keepdims=int(keepdims))

    def _with_axes(self, op: str, x: gs.Tensor, axes: Sequence[int], since: int, **attrs: Any) -> gs.Variable:
        if self.opset < since:
            return self.op(op, x, axes=list(axes), **attrs)
        return self.op(op, x, self.constant(list(axes), hint="axes"), **attrs)

    def cast(self, x: gs.Tensor, dtype: DTypeLike) -> gs.Variable:
        """Converted to a numpy type."""
        return self.op("Cast", x, to=int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))))

    def equal(self, x: gs.Tensor, y: gs.Tensor) -> gs.Variable:
        """Elementwise, bool."""
        return self.op("Equal", x, y)

    def where(
        self, condition: gs.Tensor, x: gs.Tensor, y: gs.Tensor, dtype: np.dtype[np.generic] | None = None
    ) -> gs.Variable:
        """Elementwise choice; of a ``dtype`` that onnxruntime does not choose, in a wider one that holds it exactly."""
        wide = None if dtype is None else _WIDER.get(dtype.name)
        if wide is None or dtype is None:
            return self.op("Where", condition, x, y)
        return self.cast(self.op("Where", condition, self.cast(x, wide), self.cast(y, wide)), dtype)

    def scatter(self, x: gs.Tensor, indices: gs.Tensor, values: gs.Tensor) -> gs.Variable:
        """A vector with other ``values`` at ``indices``."""
        return self.op("Scatter" if self.opset < 11 else "ScatterElements", x, indices, values, axis=0)

    # the finished piece ------------------------------------------------------------------------------------------

    def prune(self, outputs: Iterable[gs.Tensor]) -> None:
        """Drop the nodes that ``outputs`` do not need."""
        self.nodes = _needed(self.nodes, outputs)

    def export(self, inputs: Sequence[gs.Tensor], outputs: Sequence[gs.Tensor]) -> onnx.GraphProto:
        """The pruned nodes with their constants, as a graph to append or to nest."""
        self.prune(outputs)
        nodes = _needed([*self._copies, *self.nodes], outputs)
        graph = gs.Graph(nodes, list(inputs), list(outputs), name=self.namespace.rstrip("/"), opset=self.opset)
        exported: onnx.GraphProto = gs.export_onnx(graph, do_type_check=False).graph
        return exported


def _needed(nodes: Sequence[gs.Node], outputs: Iterable[gs.Tensor]) -> list[gs.Node]:
    """The nodes without those that ``outputs`` do not need."""
    needed = {tensor.name for tensor in outputs}
    kept: list[gs.Node] = []
    for node in reversed(nodes):
        if any(tensor.name in needed for tensor in node.outputs):
            kept.append(node)
            needed.update(tensor.name for tensor in node.inputs)
            needed.update(name for graph in node.subgraphs() for name in _reads(graph))
    return kept[::-1]


def _reads(graph: gs.Graph) -> set[str]:
    names = {tensor.name for node in graph.nodes for tensor in node.inputs} | {t.name for t in graph.outputs}
    return names.union(*(_reads(inner) for node in graph.nodes for inner in node.subgraphs()))


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """``wanted``, or with the first numeric suffix that makes it new."""
    taken = set(taken)
    return next(name for i in range(len(taken) + 1) if (name := f"{wanted}_{i}" if i else wanted) not in taken)
