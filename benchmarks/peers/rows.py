"""What a race found, as rows of the CSV."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.peers.systems import OURS, OURS_EXPLAINED
from onnx_reciprocam.timings import Variant, quartiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers.contest import Entry, Outcome

COLUMNS = (
    "model",
    "system",
    "variant",
    "target",
    "runs",
    "ms",
    "quartiles_ms",
    "peak_mb",
    "ratio",
    "ratio_quartiles",
    "times_ours",
    "times_ours_quartiles",
    "file_mb",
    "prediction_difference",
    "map_difference",
    "two_images",
    "failed",
    "versions",
)


def rows_of(model: str, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    """A row per entry, all columns filled, though some with nothing."""
    found = {(entry.system, entry.variant): outcome for entry, outcome in zip(entries, outcomes, strict=True)}
    rows = []
    for entry, outcome in zip(entries, outcomes, strict=True):
        row = dict.fromkeys(COLUMNS, "") | {"model": model, "system": entry.system, "variant": entry.variant}
        plain, ours = found[entry.system, "plain"], found[OURS, OURS_EXPLAINED]
        rows.append(row | dict(entry.facts) | _times(outcome, plain, ours))
    return rows


def _times(outcome: Outcome, plain: Outcome, ours: Outcome) -> dict[str, str]:
    if isinstance(outcome, str):
        return {"failed": outcome}
    return {
        "runs": str(len(outcome.milliseconds)),
        "ms": f"{outcome.median:.2f}",
        "quartiles_ms": "{:.2f}-{:.2f}".format(*outcome.quartiles),
        "peak_mb": "" if outcome.peak_mb is None else f"{outcome.peak_mb:.1f}",
        **({} if outcome is plain else _compared("ratio", outcome, plain)),
        **({} if outcome is ours else _compared("times_ours", outcome, ours)),
    }


def _compared(column: str, outcome: Variant, other: Outcome) -> dict[str, str]:
    """How many times the other's time, round by round; what ran once is held against the other's run beside it."""
    if isinstance(other, str):
        return {}
    beside = replace(other, milliseconds=other.milliseconds[: len(outcome.milliseconds)])
    return {
        column: f"{outcome.ratio(beside):.3f}",
        f"{column}_quartiles": "{:.3f}-{:.3f}".format(*quartiles(outcome.ratios(beside))),
    }
