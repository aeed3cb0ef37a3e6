"""The reverse pass of a stretch: nodes that make gradients by its source of gradients by its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.gradients.stretch import OTHER_BATCH
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx
    from numpy.typing import NDArray

    from onnx_reciprocam.gradients.stretch import Stretch
    from onnx_reciprocam.graph import Branch, Size

    Moving: TypeAlias = dict[tuple[int, int], NDArray[np.int64]]
    """By node and input: per entry of a constant what the batch is multiplied by, 0 where nothing moves."""

STEPS = frozenset(
    {
        "QuantizeLinear",
        "DynamicQuantizeLinear",
        "Round",
        "Floor",
        "Ceil",
        "Sign",
        "Hardmax",
        "OneHot",
        "ArgMax",
        "BitCast",
    }
)
"""Operators whose gradient is zero almost everywhere, so that onnx-ad passes nothing on: a map would be flat."""
RECURRENT = frozenset({"RNN", "GRU", "LSTM"})
"""Operators that onnx-ad takes apart into a loop."""
_PREFIX, _SEEDS = "reciprocam_adjoint_", "reciprocam_directions"


class Backward:
    """Reverse mode over a stretch, ready to be written into a branch.

    onnx-ad wants every shape declared, the batch included. Where the batch is open, the pass is made for two batches: a
    constant that differs between them in proportion is worked out at run time in what is written.

    Args:
        of: The stretch.

    Raises:
        GradientError: An operator has no gradient rule, or is not differentiated in this form.
        MissingPackageError: onnx-ad is not installed.
    """

    def __init__(self, of: Stretch) -> None:
        self.of = of
        _refuse(of)
        first = of.declared(of.batch)
        self._graph = _reversed(first, of)
        self._files = {name for node in first.graph.node for name in node.output if name in of.model.tensors}
        self._read = {entry.name for entry in (*first.graph.input, *first.graph.initializer)}
        self._moving: Moving = {}
        if of.moves:
            self._moving = _proportional(self._graph, _reversed(of.declared(OTHER_BATCH), of), of.batch)

    def emit(
        self,
        branch: Branch,
        seeds: gs.Tensor,
        batch: Size,
        replaced: Mapping[str, gs.Tensor] | None = None,
        once: Branch | None = None,
    ) -> gs.Tensor:
        """Write the pass.

        Args:
            branch: Receives the nodes.
            seeds: Gradient of what is explained by the stretch's result, one direction per step of a last axis:
                ``[*result, K]``.
            batch: How many images.
            replaced: Tensors that stand for the file's own, such as those of another run of the network; all that the
                stretch makes must be among them then.
            once: Where ``branch`` is the body of a loop, the branch around it: receives transposed weights, which no run
                changes.

        Returns:
            ``[*source, K]``.
        """
        known: dict[str, gs.Tensor] = dict(replaced or {})
        known[_PREFIX + self.of.result.name] = seeds
        for place, node in enumerate(self._graph.nodes):
            names = [output.name for output in node.outputs if output.name]
            if self._files.issuperset(names):
                known.update((name, self.of.model.tensors[name]) for name in names if name not in known)
                continue
            turned = node.op == "Transpose" and node.inputs[0].name in self._read
            into = once if once is not None and turned else branch
            inputs = [self._input(into, known, batch, place, i) for i in range(len(node.inputs))]
            known.update(zip(names, _copied(node, into, inputs), strict=True))
        return known[_PREFIX + self.of.source.name]

    def _input(self, branch: Branch, known: Mapping[str, gs.Tensor], batch: Size, place: int, index: int) -> gs.Tensor:
        """What stands for an input of the pass's node at ``place``."""
        tensor = self._graph.nodes[place].inputs[index]
        if not tensor.name:
            return tensor
        if tensor.name in known:
            return known[tensor.name]
        if tensor.name in self._read:
            return self.of.model.tensors[tensor.name]
        if (followed := self._moving.get((place, index))) is None:
            return branch.constant(tensor.values, tensor.values.dtype)
        sizes = zip(tensor.values, followed, strict=True)
        return branch.vector([branch.product([batch, int(k)]) if k else int(value) for value, k in sizes])


def _copied(node: gs.Node, branch: Branch, inputs: Sequence[gs.Tensor]) -> list[gs.Tensor]:
    """The node once more; of its outputs those that have a name."""
    if node.op == "Where" and _is_zero(node.inputs[2]):
        return [_where_positive(branch, inputs[0], inputs[1], node.inputs[2].values.dtype)]
    made = branch.emit(node.op, inputs, outputs=len(node.outputs), domain=node.domain or "", **node.attrs)
    return [new for output, new in zip(node.outputs, made, strict=True) if output.name]


def _is_zero(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant) and tensor.values.dtype.kind == "f" and not tensor.values.any()


def _where_positive(branch: Branch, condition: gs.Tensor, values: gs.Tensor, dtype: np.dtype[np.generic]) -> gs.Tensor:
    """``values`` where the condition holds, else 0, as a product: onnxruntime's Where takes eight times as long."""
    return branch.op("Mul", values, branch.cast(condition, dtype))


def _refuse(of: Stretch) -> None:
    for node in of.nodes:
        name = repr(node.name or node.output[0])
        if node.op_type in STEPS:
            raise GradientError(f"{node.op_type} {name} rounds, so that its gradient is zero almost everywhere")
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise GradientError(
                f"{node.op_type} {name} holds a graph of its own, and gradients are not taken through those"
            )


def _reversed(model: onnx.ModelProto, of: Stretch) -> gs.Graph:
    """The reverse pass that onnx-ad makes, the stretch itself in front."""
    try:
        import onnx_ad
    except ImportError:
        raise MissingPackageError("onnx-ad", "gradients") from None
    try:
        result = onnx_ad.reverse(model, [of.source.name], [of.result.name], prefix=_PREFIX, dim=_SEEDS, layout="onnx")
    except onnx_ad.UnsupportedOperator as error:
        raise GradientError(f"onnx-ad has no gradient for it: {error}") from None
    graph = gs.import_onnx(result)
    for node in graph.nodes:
        if any(True for _ in node.subgraphs()):
            names = ", ".join(f"{n.op_type} {n.name or n.output[0]!r}" for n in of.nodes if n.op_type in RECURRENT)
            raise GradientError(
                f"{names or node.op} is differentiated step by step in a {node.op}, which is not written"
            )
    return graph


def _proportional(first: gs.Graph, second: gs.Graph, batch: int) -> Moving:
    """What differs between the passes for two batches, use by use: equal constants of one pass may mean different things."""
    if [node.op for node in first.nodes] != [node.op for node in second.nodes]:
        raise GradientError("its gradient takes other steps for another batch")
    moving: Moving = {}
    for place, (node, other) in enumerate(zip(first.nodes, second.nodes, strict=True)):
        if not _same(node.attrs, other.attrs):
            raise GradientError(f"the gradient's {node.op} has an attribute that follows the batch")
        for index, (tensor, twin) in enumerate(zip(node.inputs, other.inputs, strict=True)):
            values, others = (t.values if isinstance(t, gs.Constant) else None for t in (tensor, twin))
            if values is None or others is None:
                continue
            if values.shape != others.shape:
                raise GradientError(f"the gradient's {node.op} has a constant whose shape follows the batch")
            if not np.array_equal(values, others, equal_nan=values.dtype.kind == "f"):
                moving[place, index] = _factors(values, others, batch)
    return moving


def _factors(values: NDArray[Any], others: NDArray[Any], batch: int) -> NDArray[np.int64]:
    factors = np.where(values != others, values // batch, 0)
    if (
        values.dtype.kind != "i"
        or values.ndim != 1
        or not np.array_equal(np.where(factors, factors * batch, values), values)
        or not np.array_equal(np.where(factors, factors * OTHER_BATCH, values), others)
    ):
        raise GradientError("a number in the gradient follows the batch, and not in proportion")
    return np.asarray(factors, np.int64)


def _same(attrs: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    plain = {name: value for name, value in attrs.items() if isinstance(value, int | float | str | list | tuple)}
    return all(others.get(name) == value for name, value in plain.items())
