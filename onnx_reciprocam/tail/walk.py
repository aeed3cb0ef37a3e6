"""The walk: the tail of the network interpreted on terms instead of tensors.

Each operator has a rule per kind of term (:mod:`~.spot_rules`, :mod:`~.pool_rules`, :mod:`~.stacked_rules`). Where a rule is missing or
does not fit, the next wider kind is tried, and where even that of ``Stacked`` is missing, the node runs once per mask.
Wider is slower, never wrong, and multiplying out is noted with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_reciprocam.graph import descendants, reads
from onnx_reciprocam.refusals import NoTensorError, RandomError, SubgraphError
from onnx_reciprocam.tail import (  # noqa: F401 - they fill the tables
    pool_rules,
    quantised_rules,
    spot_rules,
    stacked_rules,
    token_fused,
    token_mixing,
    token_picks,
    token_rules,
    token_sums,
    window_kernels,
    window_rules,
    window_sums,
)
from onnx_reciprocam.tail.call import Call
from onnx_reciprocam.tail.cost import multiply_adds
from onnx_reciprocam.tail.per_cell import per_cell
from onnx_reciprocam.tail.quantisation import EXACT, HELD, rounded
from onnx_reciprocam.tail.registry import SPOT, STACKED, TOKENS, WINDOW, operator
from onnx_reciprocam.tail.stacking import Stacker
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Stacked, Tokens, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch, Model, Shapes, Size
    from onnx_reciprocam.tail.registry import Rule
    from onnx_reciprocam.tail.terms import StaticShape, Term


TABLES: tuple[tuple[Mapping[str, Rule], frozenset[type]], ...] = (
    (SPOT, frozenset({Spot})),
    (TOKENS, frozenset({Spot, Tokens, Stacked})),
    (WINDOW, frozenset({Spot, Window})),
    (STACKED, frozenset({Spot, Tokens, Window, Stacked})),
)
"""The tables of rules, narrow to wide, each with the kinds of term that its rules take beside ``Shared``."""


RANDOM = frozenset(
    {"RandomNormalLike", "RandomUniformLike", "RandomNormal", "RandomUniform", "Bernoulli", "Multinomial"}
)
"""Operators that answer otherwise in every run."""


@dataclass(frozen=True)
class Note:
    """What carrying one node cost.

    Args:
        node: Its name, or that of its first output.
        op: Its operator.
        term: The kind of term it ended as: ``Spot``, ``Tokens``, ``Window``, ``Stacked``, or ``per cell``.
        multiply_adds: Of the nodes emitted for it, for the probed batch.
        reordered: Bytes of weights that the runtime keeps a second time, in another order, once it has loaded the file.
        widened: Why a narrower term did not do, or nothing.
    """

    node: str
    op: str
    term: str
    multiply_adds: int
    widened: str = ""
    reordered: int = 0


class Walk:
    """Terms of every tensor behind the target, each worked out when first asked for.

    Args:
        model: The network.
        shapes: Of all its tensors.
        branch: Receives the nodes.
        target: The masked tensor.
        grid: Its height and width in cells.
        copies: How many masks are carried (as probed, where dynamic): what one copy per mask costs.
        masks: Those masks, by the numbers of their cells; None for all.
    """

    def __init__(
        self,
        model: Model,
        shapes: Shapes,
        branch: Branch,
        target: gs.Tensor,
        *,
        grid: tuple[Size, Size],
        copies: int,
        masks: range | None = None,
    ) -> None:
        self.model, self.shapes, self.branch, self.target, self.copies = model, shapes, branch, target, copies
        self.stacker = Stacker(branch, *grid, copies, masks)
        self.notes: list[Note] = []
        self.reordered: dict[str, int] = {}
        self.spent: dict[str, int] = {}
        self._behind = descendants(model.graph.nodes, [target.name])
        self._rounded = rounded(model.graph.nodes)
        self.only_asks = False
        self._terms: dict[str, Term] = {}
        self._given = {target.name}

    def only_asking(self) -> Walk:
        """The same, asked what depends on which cells: sums may be made in any order, and the nodes are thrown away."""
        self._rounded, self.only_asks = set(), True
        return self

    def start(self, term: Term, tensor: gs.Tensor | None = None) -> None:
        """Say what the target is under the masks, or another ``tensor`` that is masked behind it."""
        name = self.target.name if tensor is None else tensor.name
        self._terms[name] = term
        self._given.add(name)

    def is_given(self, tensor: gs.Tensor) -> bool:
        """Whether the masks act on ``tensor`` itself, so that it is not what its node makes."""
        return tensor.name in self._given

    def depends(self, tensor: gs.Tensor) -> bool:
        """Whether ``tensor`` is computed from the target's values."""
        return tensor.name in self._behind

    def is_rounded(self, tensor: gs.Tensor) -> bool:
        """Whether ``tensor``, or what is made of it, is rounded to whole numbers before it reaches an output."""
        return tensor.name in self._rounded

    def term(self, tensor: gs.Tensor) -> Term:
        """The term of ``tensor``.

        Raises:
            UnsupportedModelError: A node on the way reads the masks inside a subgraph, or is refused by its kind.
        """
        if not self.depends(tensor):
            return Shared(tensor)
        for node in self._pending(tensor):
            self._carry(node)
        return self._terms[tensor.name]

    def _pending(self, tensor: gs.Tensor) -> list[gs.Node]:
        """The nodes still to be carried before ``tensor`` is known, in the file's order."""
        wanted = {tensor.name}
        nodes = []
        for node in reversed(self.model.graph.nodes):
            if any(output.name in wanted and output.name not in self._terms for output in node.outputs):
                nodes.append(node)
                wanted.update(name for name in reads(node) if name in self._behind)
        return nodes[::-1]

    def _carry(self, node: gs.Node) -> None:
        self._refuse(node)
        call = Call(self, node, [self.term(tensor) if tensor.name else None for tensor in node.inputs])
        kinds = {type(term) for term in call.terms if term is not None} - {Shared}
        named = [tensor for tensor in node.outputs if tensor.name]
        whole = len(named) == len(node.outputs)
        reasons, results, copies = list[str](), _untouched(node, kinds), 1
        held = operator(node) not in EXACT and any(map(self.is_rounded, node.outputs))
        for table, takes in TABLES:
            if results is None and kinds <= takes and (table is STACKED or (whole and kinds != {Stacked})):
                copies = self.copies if table is STACKED else 1
                reason, results = (HELD, None) if held and table is not STACKED else _try(table, call)
                reasons += [reason] if table is not TOKENS or Tokens in kinds else []
        kind = type(results[0]).__name__ if results else "per cell"
        widened = reasons[0] if results is None or copies > 1 else ""
        results = results or per_cell(call)
        self._terms.update((tensor.name, term) for tensor, term in zip(named, results, strict=True))
        spent = self.spent.get(node.outputs[0].name, self.multiply_adds(node) * copies if kinds else 0)
        reordered = self.reordered.get(node.outputs[0].name, 0)
        self.notes.append(Note(name_of(node), node.op, kind, spent, widened, reordered))

    def _refuse(self, node: gs.Node) -> None:
        """Raise for what no copy per mask would get right either."""
        captured = reads(node)[sum(bool(tensor.name) for tensor in node.inputs) :]
        if not self._behind.isdisjoint(captured):
            raise SubgraphError(
                f"{node.op} {name_of(node)!r} reads the masked features inside a subgraph",
                "Choose a target behind it, or export the model without control flow.",
            )
        if node.op in RANDOM or (node.op == "Dropout" and self._drops(node)):
            raise RandomError(
                f"{node.op} {name_of(node)!r} draws random numbers behind the target, so that masks cannot be compared",
                "Export the model for inference, or choose a target behind it.",
            )
        if any(self.shapes.types.get(tensor.name) == 0 for tensor in node.outputs if tensor.name):
            raise NoTensorError(
                f"{node.op} {name_of(node)!r} makes of the masked features what is no tensor (a sequence, a map, an optional)",
                "Choose a target behind it, or export the model without it.",
            )

    def _drops(self, node: gs.Node) -> bool:
        """Whether a Dropout is still in training, or may be."""
        if len(node.inputs) < 3 or not node.inputs[2].name:
            return False
        training = self.model.constant(node.inputs[2])
        return training is None or bool(training)

    def charge(self, node: gs.Node, term: str, multiply_adds: int) -> None:
        """Note what a piece of ``node`` cost that was emitted later, when somebody read it."""
        if multiply_adds:
            self.notes.append(Note(name_of(node), node.op, term, multiply_adds))

    def multiply_adds(self, node: gs.Node) -> int:
        """Of one plain run of ``node``."""
        return multiply_adds(node, self.seen)

    def seen(self, tensor: gs.Tensor) -> tuple[int, ...]:
        """The shape of ``tensor`` as probed."""
        if tensor.name in self.shapes.seen:
            return self.shapes.seen[tensor.name]
        return tuple(tensor.shape)

    def static(self, tensor: gs.Tensor) -> StaticShape:
        """The shape of ``tensor``, None where dynamic."""
        return self.shapes.static(tensor.name) if tensor.name in self.shapes.seen else tuple(tensor.shape)


def _untouched(node: gs.Node, kinds: set[type]) -> Sequence[Term] | None:
    """What a node makes of inputs that no mask changes any more: what it makes in the original."""
    return None if kinds else [Shared(tensor) for tensor in node.outputs if tensor.name]


def _try(table: Mapping[str, Rule], call: Call) -> tuple[str, Sequence[Term] | None]:
    """The answer of the table's rule, or why there is none."""
    key = operator(call.node)
    rule = table.get(key)
    if rule is None:
        return f"no rule for {key}", None
    answer = rule(call)
    if isinstance(answer, Misfit):
        return answer.reason, None
    return "", [answer] if isinstance(answer, Shared | Spot | Tokens | Window | Stacked) else answer


def name_of(node: gs.Node) -> str:
    """A node's name, or where it has none its first output's."""
    return str(node.name or node.outputs[0].name)
