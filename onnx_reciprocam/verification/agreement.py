"""What a rewritten file says of itself, checked to be words that this release knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.contract import (
    NO_MASK,
    ClassChoice,
    Contract,
    Mask,
    Normalize,
    Score,
    Upsample,
    VitMask,
    is_rewritten,
)
from onnx_reciprocam.errors import AlreadyRewrittenError, MetadataError
from onnx_reciprocam.verification.cut import between, past, trailing_activation
from onnx_reciprocam.verification.map_range import NAIVE
from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from onnx_reciprocam.verification.loading import Model


_NORMS = {"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "Constant", "Identity", "Cast"}
_NORMS |= {"ReduceMean", "Sub", "Mul", "Pow", "Add", "Sqrt", "Div", "Reciprocal"}
"""What a norm is, or is made of."""


def check_norm(original: Model, contract: Contract) -> list[Check]:
    """With ``post-norm``: whether the second masked tensor is a norm of the target, which only Adds go around."""
    if not contract.norm:
        return []
    norm, target, score = contract.norm, contract.target, contract.outputs["score"]
    made = {node.op_type for node in between(original.unfused, target, norm)}
    around = {node.op_type for node in past(original.unfused, target, norm, score)}
    detail = f"{norm!r}, made of {target!r} by {', '.join(sorted(made))}; past it goes {', '.join(sorted(around)) or 'nothing'}"
    return [Check("norm", bool(made) and made <= _NORMS and around <= {"Add"}, detail)]


def check_activation(original: Model, contract: Contract) -> Check:
    """Whether the metadata says rightly what made the explained output."""
    node = trailing_activation(original.unfused.graph, contract.outputs["score"])
    found = node.op_type.lower() if node is not None else "none"
    if found != contract.activation:
        return Check("activation", False, f"the metadata says {contract.activation!r}, the original has {found!r}")
    return Check("activation", True, found)


def read_contract(explained: Model, original: Model) -> Contract:
    """The rewritten file's metadata.

    Raises:
        NotRewrittenError: ``explained`` is a plain model.
        AlreadyRewrittenError: ``original`` is none.
        MetadataError: The metadata is damaged.
    """
    contract = Contract.from_metadata(explained.metadata, explained.name)
    if is_rewritten(original.metadata):
        raise AlreadyRewrittenError(original.name)
    try:
        _ = contract.mask == NO_MASK or Mask(contract.mask)
        Score(contract.score), Normalize(contract.normalize), Upsample(contract.upsample)
        where = VitMask(contract.vit_mask or VitMask.RESIDUAL)
        classes = ClassChoice.parse(contract.classes)
    except ValueError as error:
        raise MetadataError(explained.name, str(error)) from error
    needed_outputs = {"score", "saliency"} | (set() if classes.kind == "all" else {"saliency_classes"})
    needed_inputs = {"image"} | ({"saliency_class_ids"} if classes.kind == "input" else set())
    if (where is VitMask.POST_NORM) != bool(contract.norm):
        raise MetadataError(
            explained.name,
            f"it says {where.value!r} and names {repr(contract.norm) if contract.norm else 'none'} as the norm",
        )
    missing = [*(needed_outputs - set(contract.outputs)), *(needed_inputs - set(contract.inputs))]
    if missing:
        raise MetadataError(explained.name, f"it names no {' and no '.join(sorted(missing))}")
    if (contract.mask == NO_MASK) != (contract.method != NAIVE):
        raise MetadataError(explained.name, f"it says method {contract.method!r} with mask {contract.mask!r}")
    return contract
