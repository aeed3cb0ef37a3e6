"""What a splice hands back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_reciprocam.tail import total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from onnx_reciprocam.contract import Contract
    from onnx_reciprocam.tail import Note


@dataclass(frozen=True)
class Spliced:
    """A rewritten model and how it came about.

    Args:
        model: The file to write.
        contract: What its metadata say.
        notes: One per node of the tail: what carrying it cost.
        plain_cost: Multiply-adds of the plain model, for the probed batch.
        batch: How many images the costs are for.
        memory: Estimated bytes that the maps add to a run, for one image where the batch is open: see
            :func:`~onnx_reciprocam.tail.memory.peak_bytes`.
        chunks: How many lots the cells are explained in, one after the other.
        remarks: What the user should know of this file, a sentence or two each.
    """

    model: onnx.ModelProto
    contract: Contract
    notes: Sequence[Note]
    plain_cost: int
    batch: int
    memory: int
    chunks: int
    remarks: Sequence[str] = ()

    @property
    def cost(self) -> int:
        """Multiply-adds of the maps, for the probed batch."""
        return total_cost(self.notes)
