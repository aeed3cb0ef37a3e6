"""The reverse pass of a stretch: nodes that make gradients by its source of gradients by its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.gradients.stretch import OTHER_BATCH
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

    from onnx_reciprocam.gradients.stretch import Stretch
    from onnx_reciprocam.graph import Branch, Size

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
        _refuse_steps(of)
        first = of.declared(of.batch)
        self._graph = _reversed(first, of)
        self._files = {name for node in first.graph.node for name in node.output}
        self._read = {entry.name for entry in (*first.graph.input, *first.graph.initializer)}
        self._moving: dict[str, NDArray[np.int64]] = {}
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
            once: Where ``branch`` is the body of a loop, the branch around it: receives what no run changes, such as
                transposed weights.

        Returns:
            ``[*source, K]``.
        """
        known: dict[str, gs.Tensor] = dict(replaced or {})
        known[_PREFIX + self.of.result.name] = seeds
        varying = {*known, *self._files}
        for node in self._graph.nodes:
            names = [output.name for output in node.outputs if output.name]
            if self._files.issuperset(names):
                known.update((name, self.of.model.tensors[name]) for name in names if name not in known)
                continue
            varies = once is None or any(tensor.name in varying for tensor in node.inputs)
            varying.update(names if varies else [])
            self._copy(node, branch if varies or once is None else once, known, batch)
        return known[_PREFIX + self.of.source.name]

    def _copy(self, node: gs.Node, branch: Branch, known: dict[str, gs.Tensor], batch: Size) -> None:
        if any(True for _ in node.subgraphs()):
            raise GradientError(f"{node.op} holds a graph of its own, and gradients are not taken through those")
        inputs = [known.get(t.name) or (self._outside(branch, t, batch) if t.name else t) for t in node.inputs]
        if node.op == "Where" and _is_zero(node.inputs[2]):
            known[node.outputs[0].name] = _where_positive(branch, inputs[0], inputs[1], node.inputs[2].values.dtype)
            return
        made = branch.emit(node.op, inputs, outputs=len(node.outputs), domain=node.domain or "", **node.attrs)
        known.update((output.name, new) for output, new in zip(node.outputs, made, strict=True) if output.name)

    def _outside(self, branch: Branch, tensor: gs.Tensor, batch: Size) -> gs.Tensor:
        """A tensor that no node of the pass makes: the file's, or a constant of the pass."""
        if tensor.name in self._moving:
            values, followed = tensor.values, self._moving[tensor.name]
            sizes = [branch.product([batch, int(k)]) if k else int(v) for v, k in zip(values, followed, strict=True)]
            return branch.vector(sizes)
        if tensor.name in self._read:
            return self.of.model.tensors[tensor.name]
        return branch.constant(tensor.values, tensor.values.dtype)


def _is_zero(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant) and tensor.values.dtype.kind == "f" and not tensor.values.any()


def _where_positive(branch: Branch, condition: gs.Tensor, values: gs.Tensor, dtype: np.dtype[np.generic]) -> gs.Tensor:
    """``values`` where the condition holds, else 0, as a product: onnxruntime's Where takes eight times as long."""
    return branch.op("Mul", values, branch.cast(condition, dtype))


def _refuse_steps(of: Stretch) -> None:
    for node in of.nodes:
        if node.op_type in STEPS:
            raise GradientError(
                f"{node.op_type} {(node.name or node.output[0])!r} rounds, so that its gradient is zero almost everywhere"
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
    return gs.import_onnx(result)


def _proportional(first: gs.Graph, second: gs.Graph, batch: int) -> dict[str, NDArray[np.int64]]:
    """Of constants that differ between two batches: per entry what the batch is multiplied by, 0 where nothing moves."""
    moving: dict[str, NDArray[np.int64]] = {}
    constants = second.tensors()
    for name, tensor in first.tensors().items():
        if not isinstance(tensor, gs.Constant):
            continue
        values, others = tensor.values, getattr(constants.get(name), "values", None)
        if others is None or values.shape != others.shape:
            raise GradientError(f"the gradient's constant {name!r} has a shape that follows the batch")
        if not np.array_equal(values, others, equal_nan=values.dtype.kind == "f"):
            moving[name] = _factors(values, others, batch)
    for node, other in zip(first.nodes, second.nodes, strict=True):
        if not _same(node.attrs, other.attrs):
            raise GradientError(f"the gradient's {node.op} has an attribute that follows the batch")
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
