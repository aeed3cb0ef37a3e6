"""Height and width of a target's grid as lengths in the branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx_reciprocam.graph import Branch, Size
    from onnx_reciprocam.rewriter.layout import Side
    from onnx_reciprocam.rewriter.network import Network, Target


def grid_sizes(network: Network, target: Target, branch: Branch) -> list[Size]:
    """Height and width in cells, read at run time where dynamic: off the target, or for tokens off what their patches came from."""
    if target.token_grid is None:
        return list(target.of_grid(branch.sizes(target.tensor, target.shape)))
    sides = zip(target.sides, target.token_grid, strict=True)
    return [size if side is None else _length(network, side, branch) for side, size in sides]


def _length(network: Network, side: Side, branch: Branch) -> Size:
    shape = branch.op("Shape", network.model.tensors[side.tensor])
    length = branch.slice(shape, side.axis, side.axis + 1, 0)
    return length if side.step == 1 else branch.op("Div", length, branch.constant([side.step]))
