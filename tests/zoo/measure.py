"""One row of the zoo's table: what a rewrite with no option makes of a network, and whether it is right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from skeleton import load

import onnx_reciprocam as rc
from onnx_reciprocam.contract import Normalize, RewriteOptions
from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.rewriter import rewrite_with

if TYPE_CHECKING:
    import onnx

    from onnx_reciprocam.rewriter import Spliced

DEAREST = 30e9
"""Multiply-adds per image above which a map takes minutes, and gigabytes."""
CHUNKS = 10**9
"""Bytes that such a map may take."""
KILOBYTES_64 = 64 * 1024


@dataclass(frozen=True)
class Row:
    """A network's row.

    Args:
        network, exporter: Which skeleton.
        kind: ``exact``, ``wrong``, ``refused`` or ``unjudged`` (too dear to run).
        verdict: The kind, and why if it is not exact.
        target, layout, grid: The automatic target.
        worst: Largest error as a share of its tolerance.
        spread: Largest less smallest value of the raw map over the largest magnitude.
        extra: Multiply-adds of the maps over those of the plain model.
        widened: The operators that were multiplied out and how many of each.
        grown: Bytes of constants that the maps brought, over 64 KiB or a hundredth of the file, whichever is more.
    """

    cells: ClassVar[int] = 5

    network: str
    exporter: str
    kind: str
    verdict: str
    target: str = ""
    layout: str = ""
    grid: str = ""
    worst: float = float("nan")
    spread: float = float("nan")
    extra: float = float("nan")
    widened: str = ""
    grown: float = 0.0

    def columns(self) -> tuple[str, ...]:
        """The cells of the Markdown table, in the order of ``table.COLUMNS``."""
        numbers = (_number(self.worst), _number(self.spread), _number(self.extra))
        names = (self.network, self.exporter, f"`{self.target}`" if self.target else "", self.layout, self.grid)
        return (*names, self.verdict.replace("|", "\\|"), *numbers, self.widened)


def measure(network: str, exporter: str, *, dear: bool = False) -> Row:
    """Rewrite, verify, summarise; what is too dear for that only if asked, in chunks of cells."""
    plain = load(network, exporter)
    try:
        spliced = rewrite_with(plain, None, RewriteOptions(normalize=Normalize.NONE))
    except ReciprocamError as error:
        return Row(network, exporter, "refused", f"refused: {error}")
    except Exception as error:  # noqa: BLE001 - a defect of the product is a finding, not the end of the table
        return Row(network, exporter, "wrong", f"crash: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
    row = _described(Row(network, exporter, "unjudged", "unjudged: too dear"), spliced)
    brought = sum(tensor.ByteSize() for tensor in spliced.model.graph.initializer[len(plain.graph.initializer) :])
    row = replace(row, grown=brought / max(plain.ByteSize() // 100, KILOBYTES_64))
    if spliced.cost / spliced.batch <= DEAREST:
        return _judged(row, spliced.model, plain)
    if not dear:
        return row
    spliced = rewrite_with(plain, None, RewriteOptions(normalize=Normalize.NONE, max_memory=CHUNKS))
    row = _judged(row, spliced.model, plain)
    return replace(row, verdict=f"{row.verdict}, in {spliced.chunks} chunks")


def _described(row: Row, spliced: Spliced) -> Row:
    contract, widened = spliced.contract, Counter(note.op for note in spliced.notes if note.widened)
    return replace(
        row,
        target=contract.target,
        layout=contract.layout,
        grid="x".join("?" if side is None else str(side) for side in contract.grid),
        extra=spliced.cost / max(spliced.plain_cost, 1),
        widened=", ".join(f"{count} {operator}" for operator, count in sorted(widened.items())),
    )


def _judged(row: Row, explained: onnx.ModelProto, plain: onnx.ModelProto) -> Row:
    try:
        found = rc.verify(explained, plain, batches=(1, 3), cells=Row.cells)
    except ReciprocamError as error:
        return replace(row, kind="wrong", verdict=f"unverified: {error}")
    failures = "; ".join(f"{failure.name}: {failure.detail}" for failure in found.failures)
    kind, verdict = ("exact", "exact") if found.passed else ("wrong", failures)
    return replace(row, kind=kind, verdict=verdict, worst=found.worst, spread=_spread(explained))


def _spread(explained: onnx.ModelProto) -> float:
    session = rc.ExplainedSession(explained.SerializeToString())
    side = explained.graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    image = np.random.default_rng(0).standard_normal((1, 3, side, side), np.float32)
    maps = session(image).saliency
    return float(np.ptp(maps) / np.abs(maps).max())


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}"
