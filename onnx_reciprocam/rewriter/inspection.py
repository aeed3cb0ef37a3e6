"""What could be explained, what it would cost, and which one is taken if the user names none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.errors import NoTargetError
from onnx_reciprocam.graph import descendants
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.network import study
from onnx_reciprocam.rewriter.quantised import check_mask, dequantised_from
from onnx_reciprocam.rewriter.reach import opened, reaches
from onnx_reciprocam.tail import Spot, pick, total_cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.graph import ModelSource
    from onnx_reciprocam.rewriter.network import Network, Target

COUNTED = 600
"""Cells up to which a walk counts what maps cost. Before that, maps cost hundreds of networks: a bound will do."""


@dataclass(frozen=True)
class Candidate:
    """One tensor that can be explained.

    Args:
        node: The name to pass as ``--target``.
        tensor: The tensor's own name.
        layout: Its axes, as einops writes them.
        shape: Its lengths, None where dynamic.
        cells: N, the number of cells (as probed, where dynamic).
        extra_cost: Multiply-adds of the explanation over those of the plain model; at most that, if ``widened`` is None.
        widened: Nodes that had to be multiplied out, one copy per cell; None beyond :data:`COUNTED` cells.
        automatic: Whether this one is taken when no target is named.
        reaches: Whether the score still depends on its cells; if not, maps there are flat.
    """

    node: str
    tensor: str
    layout: str
    shape: tuple[int | None, ...]
    cells: int
    extra_cost: float
    widened: int | None
    automatic: bool
    reaches: bool


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


@deeply()
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
    costs, reached = list[Cost](), False
    for target in reversed(network.targets):
        reached = reached or reaches(network, target)
        costs.append(_cost(network, target, costs[-1] if costs else None)._replace(reaches=reached))
    candidates = [
        Candidate(
            node=cost.target.node,
            tensor=cost.target.tensor.name,
            layout=cost.target.layout,
            shape=cost.target.shape,
            cells=cost.target.cells,
            extra_cost=cost.multiply_adds / max(network.cost, 1),
            widened=cost.widened,
            automatic=cost.target.tensor.name == chosen.tensor.name,
            reaches=cost.reaches,
        )
        for cost in reversed(costs)
    ]
    scores = network.scores
    return Inspection(scores.output.name, scores.classes, scores.logits.name, why, candidates)


def automatic(network: Network, mask: Mask = Mask.PIXEL) -> tuple[Target, str]:
    """The last target on which the score still depends cell by cell, and a sentence that says so.

    Of quantised values and the floats they stand for, that is the one in front; for a mask that weighs cells, the floats.

    Raises:
        NoTargetError: The score depends on no target cell by cell.
        OptionError: No target can be masked so.
    """
    names = {target.tensor.name for target in network.targets}
    copies = [
        target for target in network.targets if (whole := dequantised_from(target.tensor)) and whole.name in names
    ]
    fitting = [t for t in network.targets if (t not in copies if mask is Mask.PIXEL else not t.whole)]
    for skipped, target in enumerate(reversed(fitting)):
        if reaches(network, target):
            later = f"; {skipped} later ones no longer reach the score" if skipped else ""
            return target, f"the last feature map that all paths from the image to the score go through{later}"
    for target in reversed(network.targets):
        check_mask(target, mask)
    raise NoTargetError(network.scores.output.name, "it depends on no cell of any feature map.")


class Cost(NamedTuple):
    """What maps at a target cost.

    Args:
        target: Itself.
        multiply_adds: Of the explanation, for the probed batch.
        widened: Nodes multiplied out, or None if nobody walked.
        reaches: As :class:`Candidate` has it.
    """

    target: Target
    multiply_adds: int
    widened: int | None
    reaches: bool = True


def _cost(network: Network, target: Target, later: Cost | None) -> Cost:
    """By a walk to the score, or to the next target if every cell is still by itself there: its cost is known."""
    if target.cells > COUNTED:
        behind = descendants(network.model.graph.nodes, [target.tensor.name])
        nodes = [node for node in network.model.graph.nodes if node.outputs and node.outputs[0].name in behind]
        return Cost(target, target.cells * sum(map(opened(network, target).multiply_adds, nodes)), None)
    walk = opened(network, target)
    known = 0, 0
    if later is not None and later.widened is not None and isinstance(walk.term(later.target.tensor), Spot):
        known = later.multiply_adds, later.widened
    else:
        pick(walk, network.scores.logits, walk.branch.input(gs.Variable("class_ids")))
    widened = sum(bool(note.widened) for note in walk.notes)
    return Cost(target, total_cost(walk.notes) + known[0], widened + known[1])
