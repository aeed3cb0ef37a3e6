"""Late class choice: the scores of the wanted classes, without computing the others.

A map needs one row of the last linear layer, not a thousand. The choice is pushed backwards through what treats classes
one by one until it meets the layer's weights, and only their chosen rows are multiplied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.registry import ELEMENTWISE, PASSING, REGROUPING, operator
from onnx_reciprocam.tail.terms import Shared, Stacked
from onnx_reciprocam.tail.walk import Note, name_of

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.walk import Walk


def pick(walk: Walk, tensor: gs.Tensor, ids: gs.Tensor) -> gs.Tensor:
    """The chosen classes' scores under every mask.

    Args:
        walk: Knows the terms.
        tensor: ``[B, classes]``, or with further axes of length 1.
        ids: The classes of each image, int64 ``[B, K]``.

    Returns:
        ``[B, K, N]``.
    """
    node = tensor.inputs[0] if tensor.inputs else None
    if node is None or tensor.name == walk.target.name:
        return _pick_from_all(walk, tensor, ids)
    op = operator(node)
    if op in {"Gemm", "MatMul"} and _is_linear_layer(walk, node):
        return _pick_rows(walk, node, ids)
    if op in PASSING or (op in REGROUPING and _same_classes(walk, node.inputs[0], tensor)):
        return pick(walk, node.inputs[0], ids)
    if op in ELEMENTWISE and (masked := _only_masked(walk, node, tensor)) is not None:
        return _pick_elementwise(walk, node, masked, ids)
    return _pick_from_all(walk, tensor, ids)


def all_classes(walk: Walk, tensor: gs.Tensor) -> gs.Tensor:
    """The scores of every class under every mask, ``[B, classes, N]``."""
    term = walk.stacker.stack(walk.term(tensor), walk.static(tensor))
    value = walk.stacker.last(term)
    batch, *rest = walk.static(tensor)
    if len(rest) == 1:
        return value
    classes = int(np.prod([size or 1 for size in rest]))
    return walk.branch.reshape(value, [-1 if batch is None else batch, classes, walk.stacker.count])


def _pick_from_all(walk: Walk, tensor: gs.Tensor, ids: gs.Tensor) -> gs.Tensor:
    return choose(walk, all_classes(walk, tensor), ids, int(np.prod(walk.seen(tensor)[1:])))


def choose(walk: Walk, scores: gs.Tensor, ids: gs.Tensor, classes: int) -> gs.Tensor:
    """``[B, classes, N]`` and ``[B, K]`` -> ``[B, K, N]``."""
    branch = walk.branch
    if branch.opset < 11:
        return _one_hot(walk, scores, ids, classes)
    spread = branch.op("Expand", branch.unsqueeze(ids, [2]), branch.vector([1, 1, walk.stacker.count]))
    return branch.op("GatherElements", scores, spread, axis=1)


def _one_hot(walk: Walk, scores: gs.Tensor, ids: gs.Tensor, classes: int) -> gs.Tensor:
    """The choice before GatherElements came: a product with one-hot rows."""
    branch = walk.branch
    known = branch.constant(np.arange(classes), hint="classes")
    checked = branch.op("Gather", known, ids, axis=0)  # fails on ids that no class has, which rows of zeros would hide
    one_hot = branch.cast(branch.equal(branch.unsqueeze(checked, [2]), known), np.float32)
    return branch.op("MatMul", one_hot, scores)


def _is_linear_layer(walk: Walk, node: gs.Node) -> bool:
    """Whether node is ``[B, C] x weights -> [B, classes]`` with weights (and bias) that no mask changes."""
    features, *shared = [walk.term(tensor) for tensor in node.inputs]
    plain = not node.attrs.get("transA", 0) and all(isinstance(term, Shared) for term in shared)
    matrices = all(len(walk.seen(tensor)) == 2 for tensor in node.inputs[:2])
    bias = len(node.inputs) < 3 or len(walk.seen(node.inputs[2])) < 2 or walk.static(node.inputs[2])[0] == 1
    return plain and matrices and bias and isinstance(features, Stacked)


def _pick_rows(walk: Walk, node: gs.Node, ids: gs.Tensor) -> gs.Tensor:
    """``W[ids] @ features + bias[ids]``."""
    branch, attrs = walk.branch, node.attrs
    features = walk.stacker.stack(walk.term(node.inputs[0]), walk.static(node.inputs[0]))
    if attrs.get("transB", 0):
        rows: gs.Tensor = branch.op("Gather", node.inputs[1], ids, axis=0)
    else:
        rows = branch.transpose(branch.op("Gather", node.inputs[1], ids, axis=1), [1, 2, 0])
    scores: gs.Tensor = branch.op("MatMul", rows, walk.stacker.last(features))
    dtype = _dtype(walk, node)
    if (alpha := attrs.get("alpha", 1.0)) != 1.0:
        scores = branch.op("Mul", scores, branch.constant(alpha, dtype))
    if len(node.inputs) > 2:
        bias: gs.Tensor = _chosen(walk, node.inputs[2], ids)
        if (beta := attrs.get("beta", 1.0)) != 1.0:
            bias = branch.op("Mul", bias, branch.constant(beta, dtype))
        scores = branch.op("Add", scores, bias)
    classes = walk.seen(node.outputs[0])[1]
    walk.notes.append(Note(name_of(node), node.op, "chosen rows", walk.multiply_adds(node) * walk.copies // classes))
    return scores


def _dtype(walk: Walk, node: gs.Node) -> np.dtype[np.generic]:
    constant = walk.model.constant(node.inputs[1])
    return np.dtype(np.float32) if constant is None else constant.dtype


def _same_classes(walk: Walk, before: gs.Tensor, after: gs.Tensor) -> bool:
    """Whether a reshape only adds or drops axes of length 1 behind the classes."""
    old, new = ([size for size in walk.seen(tensor)[1:] if size != 1] for tensor in (before, after))
    return old == new and walk.seen(before)[:1] == walk.seen(after)[:1]


def _only_masked(walk: Walk, node: gs.Node, result: gs.Tensor) -> int | None:
    """The one input with the result's shape that depends on the mask, if the others are per class or plain numbers."""
    masked = [i for i, tensor in enumerate(node.inputs) if walk.depends(tensor)]
    if len(masked) != 1 or walk.seen(node.inputs[masked[0]]) != walk.seen(result):
        return None
    classes = walk.seen(result)
    for i, tensor in enumerate(node.inputs):
        shape = () if i in masked or not tensor.name else walk.seen(tensor)
        per_class = len(classes) == 2 and tuple(shape) in {classes[1:], (1, *classes[1:])}
        if int(np.prod(shape)) != 1 and not per_class:
            return None
    return masked[0]


def _pick_elementwise(walk: Walk, node: gs.Node, masked: int, ids: gs.Tensor) -> gs.Tensor:
    """The operator on the chosen scores, its per-class operands chosen likewise."""
    operands: list[gs.Tensor] = []
    for i, tensor in enumerate(node.inputs):
        if i == masked:
            operands.append(pick(walk, tensor, ids))
        elif tensor.name and int(np.prod(walk.seen(tensor))) != 1:
            operands.append(_chosen(walk, tensor, ids))
        else:
            operands.append(_number(walk, tensor))
    return walk.branch.emit(node.op, operands, domain=node.domain or "", **node.attrs)[0]


def _number(walk: Walk, tensor: gs.Tensor) -> gs.Tensor:
    """An operand of one value, with no more axes than the chosen scores."""
    return walk.branch.reshape(tensor, [1]) if tensor.name and len(walk.seen(tensor)) > 3 else tensor


def _chosen(walk: Walk, per_class: gs.Tensor, ids: gs.Tensor) -> gs.Tensor:
    """``[classes]`` or ``[1, classes]`` -> ``[B, K, 1]``; a single value stays one."""
    branch = walk.branch
    vector = branch.reshape(per_class, [-1]) if len(walk.seen(per_class)) != 1 else per_class
    if int(np.prod(walk.seen(per_class))) == 1:
        return vector
    return branch.unsqueeze(branch.op("Gather", vector, ids, axis=0), [2])
