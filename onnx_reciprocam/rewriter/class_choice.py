"""``--classes``: which classes of an image get a map, as a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.contract import ClassChoice
    from onnx_reciprocam.graph import Branch
    from onnx_reciprocam.rewriter.network import Network


def chosen_classes(branch: Branch, network: Network, choice: ClassChoice) -> gs.Tensor | None:
    """The classes that the scores themselves decide on: the best ones.

    Returns:
        int64 ``[B, K]``, best first; None for all classes.

    Raises:
        OptionError: More are asked for than there are.
    """
    if choice.kind == "all":
        return None
    scores = network.scores
    if choice.count is not None and choice.count > scores.classes:
        raise OptionError("--classes", str(choice), (f"at most top:{scores.classes}, the number of classes",))
    values: gs.Tensor = scores.output
    if network.dtype(values) not in {np.dtype(np.float32), np.dtype(np.float64)}:
        values = branch.cast(values, np.float32)
    shape = network.shapes.seen[scores.output.name]
    if len(shape) > 2:
        values = branch.reshape(values, [0, scores.classes] if shape[1] == scores.classes else [-1, scores.classes])
    if choice.kind == "predicted":
        return branch.op("ArgMax", values, axis=1, keepdims=1)
    if branch.opset < 10:
        return branch.emit("TopK", [values], outputs=2, axis=1, k=choice.count)[1]
    return branch.emit("TopK", [values, branch.constant([choice.count])], outputs=2, axis=1)[1]
