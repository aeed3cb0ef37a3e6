"""What could be explained, what it would cost, and which one is taken if the user names none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.errors import NoTargetError
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.methods.reciprocam import masked
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.rewriter.splice import open_walk
from onnx_reciprocam.tail import Shared, axes_of, pick, total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.graph import ModelSource
    from onnx_reciprocam.rewriter.network import Network, Target
    from onnx_reciprocam.tail import Note


@dataclass(frozen=True)
class Candidate:
    """One tensor that can be explained.

    Args:
        node: The name to pass as ``--target``.
        tensor: The tensor's own name.
        layout: Its axes, as einops writes them.
        shape: Its lengths, None where dynamic.
        cells: N, the number of cells (as probed, where dynamic).
        extra_cost: Multiply-adds of the explanation over those of the plain model.
        widened: Nodes that had to be multiplied out, one copy per cell.
        automatic: Whether this one is taken when no target is named.
    """

    node: str
    tensor: str
    layout: str
    shape: tuple[int | None, ...]
    cells: int
    extra_cost: float
    widened: int
    automatic: bool


@dataclass(frozen=True)
class Inspection:
    """All candidates of a model.

    Args:
        output: The explained output.
        classes: How many scores it has.
        logits: The tensor that ``--score logit`` reads.
        why: Why the automatic candidate is the automatic one.
        candidates: From the image to the score.
    """

    output: str
    classes: int
    logits: str
    why: str
    candidates: Sequence[Candidate]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for JSON."""
        return asdict(self)


def inspect(model: ModelSource, *, output: str | None = None, size: tuple[int, int] | None = None) -> Inspection:
    """List the targets of a plain model.

    Args:
        model: Path, bytes or ``ModelProto``.
        output: The output to explain; the first that scores classes if None.
        size: Height and width to try where the file declares none.

    Raises:
        ReciprocamError: The model cannot be read, does not run, or has no target.
    """
    network = study(model, output, size)
    chosen, why = automatic(network)
    total = max(network.cost, 1)
    candidates = []
    for target in network.targets:
        notes = _walked(network, target)[1]
        candidates.append(
            Candidate(
                node=target.node,
                tensor=target.tensor.name,
                layout=target.layout,
                shape=target.shape,
                cells=target.cells,
                extra_cost=total_cost(notes) / total,
                widened=sum(bool(note.widened) for note in notes),
                automatic=target.tensor.name == chosen.tensor.name,
            )
        )
    scores = network.scores
    return Inspection(scores.output.name, scores.classes, scores.logits.name, why, candidates)


def automatic(network: Network) -> tuple[Target, str]:
    """The last target on which the score still depends cell by cell, and a sentence that says so.

    Raises:
        NoTargetError: The score depends on no target cell by cell.
    """
    for skipped, target in enumerate(reversed(network.targets)):
        if _walked(network, target)[0]:
            later = f"; {skipped} later ones no longer reach the score" if skipped else ""
            return target, f"the last feature map that all paths from the image to the score go through{later}"
    raise NoTargetError(network.scores.output.name, "it depends on no cell of any feature map.")


def _walked(network: Network, target: Target) -> tuple[bool, Sequence[Note]]:
    """Whether the score depends on the masks of ``target``, and the notes of a walk for one class that is thrown away."""
    branch = Branch(network.model)
    walk = open_walk(network, target, branch)
    walk.start(masked(walk, axes_of(target.layout, target.seen), Mask.PIXEL, network.dtype(target.tensor)))
    pick(walk, network.scores.logits, branch.input(gs.Variable("class_ids")))
    notes = tuple(walk.notes)
    return not isinstance(walk.term(network.scores.logits), Shared), notes
