"""From a row per picture to a figure per method, with intervals by bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from onnx_reciprocam.evaluation.protocol import HIGHER
from onnx_reciprocam.metrics import adcc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Row: TypeAlias = Mapping[str, Any]

RESAMPLES, SEED, LEVEL = 1000, 0, 0.95
"""Of the bootstrap: data sets drawn with repetition, and the share of them that an interval covers."""
AT_ONCE = 1 << 20
"""Pictures drawn at a time, so that all data sets of a large one need not fit into memory together."""
PARTS = ("drop", "coherency", "complexity")
"""What ADCC is made of."""
UNPOINTED = "no picture shows the network a box or a mask of the explained class"
"""Why :data:`OF_OBJECTS` can be missing."""
OF_OBJECTS = ("pointing", "energy")
"""Metrics that are about a label's object, and not only about the map."""


@dataclass(frozen=True)
class Figure:
    """A metric of a data set.

    Args:
        value: Itself.
        low, high: What 95% of bootstrapped data sets lie between.
        pictures: How many it is of; one with several labels counts once per label that is explained.
    """

    value: float
    low: float
    high: float
    pictures: int


@dataclass(frozen=True)
class Line:
    """One method's figures.

    Args:
        method: Its name.
        figures: By metric; those that no picture had are missing.
        seconds: Of an explanation, median.
        failed: Pictures that could not be explained.
    """

    method: str
    figures: Mapping[str, Figure]
    seconds: float
    failed: int


def summarise(rows: Sequence[Row], methods: Sequence[str], metrics: Sequence[str]) -> list[Line]:
    """A line per method, over the pictures that every method explained.

    Args:
        rows: As :func:`~.run.evaluate` writes them.
        methods: In the order wanted.
        metrics: Likewise.

    Returns:
        Figures with percentile-bootstrap intervals: pictures drawn with repetition, the same for every method, seeded.
    """
    by_method = {method: {row["sample"]: row for row in rows if row["method"] == method} for method in methods}
    explained = [{name for name, row in own.items() if not row.get("error")} for own in by_method.values()]
    common = sorted(set.intersection(*explained)) if explained else []
    lines = []
    for method, own in by_method.items():
        shared = [own[name] for name in common]
        figures = {name: figure for name in metrics if (figure := _figure(name, shared)) is not None}
        seconds = float(np.median([row["seconds"] for row in shared])) if shared else float("nan")
        lines.append(Line(method, figures, seconds, sum(bool(row.get("error")) for row in own.values())))
    return lines


def best(lines: Sequence[Line], metric: str) -> set[str]:
    """The methods whose figure is the best one, as printed to a tenth of a percent; none where all are equal."""
    values = {line.method: round(line.figures[metric].value, 3) for line in lines if metric in line.figures}
    if not values:
        return set()
    top = max(values.values()) if metric in HIGHER else min(values.values())
    winners = {method for method, value in values.items() if value == top}
    return winners if len(winners) < len(values) else set()


def compared(rows: Sequence[Row], methods: Sequence[str]) -> int:
    """How many pictures every method explained."""
    explained = [{row["path"] for row in rows if row["method"] == m and not row.get("error")} for m in methods]
    return len(set.intersection(*explained)) if explained else 0


def _figure(metric: str, rows: Sequence[Row]) -> Figure | None:
    names = PARTS if metric == "adcc" else (metric,)
    kept = [row for row in rows if all(row.get(name) is not None for name in names)]
    if metric not in OF_OBJECTS:  # a picture of several labels has a row for each, of one map if their class is one
        kept = list({(row.get("path", row["sample"]), row.get("explained")): row for row in kept}.values())
    if not kept:
        return None
    values = np.array([[row[name] for name in names] for row in kept], np.float64)  # [pictures, parts]
    whole = adcc(*np.clip(values.mean(0), 0, 1)) if metric == "adcc" else float(values.mean())
    means = _bootstrapped(values)
    spread = _harmonic(means) if metric == "adcc" else means[:, 0]
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(whole, float(low), float(high), len(values))


def _bootstrapped(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means ``[RESAMPLES, parts]`` of data sets drawn with repetition from ``[pictures, parts]``."""
    rng, count = np.random.default_rng(SEED), len(values)
    lot = max(1, AT_ONCE // count)
    lots = (min(lot, RESAMPLES - start) for start in range(0, RESAMPLES, lot))
    return np.concatenate([values[rng.integers(count, size=(many, count))].mean(axis=1) for many in lots])


def _harmonic(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """ADCC of each row of means of :data:`PARTS`: :func:`~onnx_reciprocam.metrics.adcc`, of many at once."""
    dropped, coherent, complicated = np.clip(means, 0, 1).T
    terms = np.stack([1 - dropped, coherent, 1 - complicated])
    inverse = (1 / np.maximum(terms, np.finfo(np.float64).tiny)).sum(axis=0)
    return np.asarray(len(PARTS) / inverse)


def to_rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """One flat row per method and metric, for CSV and JSON."""
    return [
        {
            "method": line.method,
            "metric": name,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "pictures": figure.pictures,
            "better": "higher" if name in HIGHER else "lower",
            "seconds": line.seconds,
            "failed": line.failed,
        }
        for line in lines
        for name, figure in line.figures.items()
    ]
