"""``--toggle``: maps behind an ``If``, so that one file serves calls with them and calls without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx_reciprocam.graph import Branch, Size
    from onnx_reciprocam.rewriter.network import Network


def behind_toggle(
    branch: Branch,
    network: Network,
    explain: gs.Tensor,
    outputs: Sequence[gs.Tensor],
    spatial: Callable[[Branch], Sequence[Size]],
) -> list[gs.Tensor]:
    """What was emitted so far as one arm of an ``If``; the other returns no maps.

    Args:
        branch: Whose nodes go into the arm.
        network: The plain model.
        explain: The bool that decides.
        outputs: Maps, and the classes they explain unless that is all.
        spatial: Writes the height and width of a map into a branch.

    Raises:
        UnsupportedModelError: The file's IR version lets no caller override a default.
    """
    if network.model.proto.ir_version < 4:
        raise UnsupportedModelError(
            "--toggle has no effect in a file of IR version 3, where callers cannot override a default",
            "Set ir_version = 4 in the model first, or rewrite without --toggle",
        )
    then_outputs = _typed([branch.op("Identity", tensor) for tensor in outputs])
    branch.prune(then_outputs)
    then = gs.Graph(branch.nodes, [], then_outputs, name="explained", opset=branch.opset)
    off = branch.nested("off")
    batch = off.slice(off.op("Shape", network.scores.output), 0, 1, 0)
    empty = [off.op("ConstantOfShape", off.vector([batch, 0, *spatial(off)]), value=_zero(np.float32))]
    if len(outputs) > 1:
        empty.append(off.op("ConstantOfShape", off.vector([batch, 0]), value=_zero(np.int64)))
    otherwise = gs.Graph(off.nodes, [], _typed(empty), name="plain", opset=off.opset)
    branch.nodes = []
    return list(branch.emit("If", [explain], outputs=len(outputs), then_branch=then, else_branch=otherwise))


def _typed(results: Sequence[gs.Variable]) -> Sequence[gs.Variable]:
    """With their types and ranks: onnxruntime infers them, other runtimes want them said."""
    for tensor, dtype, axes in zip(results, (np.float32, np.int64), ("bkhw", "bk"), strict=False):
        tensor.dtype, tensor.shape = dtype, [f"{tensor.name}_{axis}" for axis in axes]
    return results


def _zero(dtype: type[np.generic]) -> gs.Constant:
    return gs.Constant("zero", np.zeros(1, dtype))
