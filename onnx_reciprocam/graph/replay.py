"""A part of the network once more, on other values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.graph.dominators import descendants, reads
from onnx_reciprocam.refusals import SubgraphError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph.branch import Branch
    from onnx_reciprocam.graph.model import Model


def replay(branch: Branch, model: Model, sources: Mapping[str, gs.Tensor], result: str) -> dict[str, gs.Tensor]:
    """Copies of the nodes that ``result`` needs and that depend on ``sources``.

    Args:
        branch: Receives the copies.
        model: The network.
        sources: What stands for some of its tensors, by their names.
        result: The last tensor wanted.

    Returns:
        What stands for every tensor on the way, ``sources`` and ``result`` included, by name.

    Raises:
        SubgraphError: One of them is read inside an ``If``, ``Loop`` or ``Scan``.
    """
    behind = descendants(model.graph.nodes, list(sources))
    wanted, nodes = {result}, []
    for node in reversed(model.graph.nodes):
        if any(output.name in wanted and output.name in behind for output in node.outputs):
            nodes.append(node)
            wanted.update(name for name in reads(node) if name in behind and name not in sources)
    known = dict(sources)
    for node in reversed(nodes):
        captured = reads(node)[sum(bool(tensor.name) for tensor in node.inputs) :]
        if not behind.isdisjoint(captured):
            raise SubgraphError(
                f"{node.op} {node.name!r} reads inside a subgraph what is to be run again",
                "Export the model without control flow.",
            )
        inputs = [known.get(tensor.name, tensor) for tensor in node.inputs]
        made = branch.emit(node.op, inputs, outputs=len(node.outputs), domain=node.domain or "", **node.attrs)
        known.update(
            (output.name, new)
            for output, new in zip(node.outputs, made, strict=True)
            if output.name and output.name not in sources
        )
    return known
