"""The norm that a transformer block begins with, found by what reads what: one operator, or the eight or nine it stands for.

Behind a target x, a pre-norm block computes ``x + f(norm(x))``. What the arithmetic of norms alone makes of x is the norm's
*region*: of LayerNormalization that is the result, of its spelled-out form also the mean, the centred tokens, and so on.
The norm is the one tensor that everything outside the region reads, but for the Adds that carry x around the block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import NoNormError
from onnx_reciprocam.graph import descendants, reads
from onnx_reciprocam.tail.registry import operator
from onnx_reciprocam.tail.tokens import span

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.rewriter.network import Network, Target

WHOLE = frozenset({"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"})
"""Norms as one operator."""
SPELLED_OUT = frozenset({"ReduceMean", "Sub", "Mul", "Pow", "Add", "Sqrt", "Div", "Reciprocal", "Cast", "Identity"})
"""What a norm is made of where the opset has no operator for it."""
SHOWN = 3
"""Targets that a refusal names."""


def first_norm(network: Network, target: Target) -> gs.Tensor:
    """The output of the norm directly behind ``target``: the target's own shape and layout, each token by itself.

    Raises:
        NoNormError: The target has no tokens, or no norm directly behind it.
    """
    if (norm := _norm(network, target)) is not None:
        return norm
    reason = "no norm stands directly behind it" if has_tokens(target) else "its cells are no tokens"
    place = network.targets.index(target)
    before, behind = network.targets[:place][::-1], network.targets[place + 1 :]
    fitting = _fitting(network, before) or _fitting(network, behind)
    raise NoNormError(target.node, reason, fitting[:SHOWN])


def _fitting(network: Network, targets: Iterable[Target]) -> list[str]:
    """Those with a norm directly behind them."""
    return [target.node for target in targets if _norm(network, target) is not None]


def _norm(network: Network, target: Target) -> gs.Tensor | None:
    """The one way out of the region, if the region normalises channels, the last axis."""
    if not has_tokens(target) or not target.layout.endswith("c"):
        return None
    name, inside = target.tensor.name, _region(network, target)
    made = {output.name for node in inside for output in node.outputs}
    outside = [node for node in network.model.graph.nodes if not any(output.name in made for output in node.outputs)]
    readers = [node for node in outside if not _goes_around(node, name, made)]
    exits = {read for node in readers for read in reads(node) if read in {name, *made}}
    normalises = any(operator(node) in {*WHOLE, "ReduceMean"} for node in inside)
    if not normalises or len(exits) != 1 or not exits <= made or not all(map(network.model.is_written, exits)):
        return None
    return network.model.tensors[exits.pop()]


def _region(network: Network, target: Target) -> list[gs.Node]:
    """The nodes of norms whose operands are made of the target by such nodes, or are the same for every token."""
    nodes, region = network.model.graph.nodes, {target.tensor.name}
    behind = descendants(nodes, region)
    inside: list[gs.Node] = []
    for node in nodes:
        fed = {name for name in reads(node) if name in behind}
        if fed and fed <= region and _normalises_each(network, node, target, region):
            inside.append(node)
            region.update(output.name for output in node.outputs if output.name)
    return inside


def _normalises_each(network: Network, node: gs.Node, target: Target, region: set[str]) -> bool:
    """Whether a norm over channels has such a node, which treats all tokens alike and leaves each in its place."""
    seen, last = network.shapes.seen, len(target.seen) - 1
    if operator(node) in WHOLE:
        return node.attrs.get("axis", -1) in {-1, last}
    if operator(node) not in SPELLED_OUT or seen.get(node.outputs[0].name, ())[:-1] != target.seen[:-1]:
        return False
    others = [tensor for tensor in node.inputs if tensor.name and tensor.name not in region]
    shapes = [] if node.op == "ReduceMean" else [seen.get(t.name) or tuple(t.shape or ()) for t in others]
    return all(math.prod(shape[:-1]) == 1 for shape in shapes)


def _goes_around(node: gs.Node, target: str, made: set[str]) -> bool:
    """Whether it adds what the block makes to the target itself."""
    read = reads(node)
    return node.op == "Add" and target in read and made.isdisjoint(read)


def has_tokens(target: Target) -> bool:
    """Whether its cells are tokens along one axis."""
    return any(span(label) for label in target.layout.split())
