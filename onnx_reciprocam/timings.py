"""What a benchmark found: times, memory, and how the variants compare."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Variant:
    """What one model took.

    Args:
        name: ``plain``, ``explained`` or ``naive``.
        milliseconds: Of each round's run, after the warm-up.
        peak_mb: Most memory (10^6 bytes) that a process held that loads the model and runs it twice; None on Windows.
    """

    name: str
    milliseconds: tuple[float, ...]
    peak_mb: float | None

    @property
    def median(self) -> float:
        """Milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Milliseconds that a quarter and three quarters of the runs stayed below: the noise."""
        return quartiles(self.milliseconds)

    def ratios(self, plain: Variant) -> tuple[float, ...]:
        """Times the plain model's time, round by round."""
        return tuple(a / b for a, b in zip(self.milliseconds, plain.milliseconds, strict=True))

    def ratio(self, plain: Variant) -> float:
        """Times the plain model's time: the median of the rounds' own ratios.

        Not the ratio of the medians: runs of one round stand side by side, so what slows the machine for longer than a
        round cancels within each ratio.
        """
        return statistics.median(self.ratios(plain))

    def growth(self, plain: Variant) -> float | None:
        """Peak memory beyond the plain model's, in percent of it."""
        if self.peak_mb is None or plain.peak_mb is None:
            return None
        return (self.peak_mb / plain.peak_mb - 1) * 100


@dataclass(frozen=True)
class Benchmark:
    """All variants of one model, on the same inputs.

    Args:
        model: Path of the plain model, or ``the model`` where it came from memory.
        target: The tensor whose cells are masked.
        grid: Its height and width in cells.
        multiply_adds: With maps, over those of the plain model: what the ratio would be if nothing else took time.
        inputs: Shapes of what was fed, batch first.
        threads: Within an operator.
        warmup: Rounds that do not count.
        providers: onnxruntime's execution providers.
        plain, explained: Always measured.
        naive: The tail run once per masked cell; None if it was left out.
        naive_skipped: Why it was left out; empty if it was not.
    """

    model: str
    target: str
    grid: tuple[int, int]
    multiply_adds: float
    inputs: Mapping[str, tuple[int, ...]]
    threads: int
    warmup: int
    providers: tuple[str, ...]
    plain: Variant
    explained: Variant
    naive: Variant | None
    naive_skipped: str

    @property
    def runs(self) -> int:
        """Rounds that count."""
        return len(self.plain.milliseconds)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those that were measured."""
        return (self.plain, self.explained, *([self.naive] if self.naive else []))

    @property
    def explained_ratio(self) -> float:
        """Time with maps over time without."""
        return self.explained.ratio(self.plain)

    @property
    def naive_ratio(self) -> float | None:
        """Time with maps made the slow way over time without maps."""
        return self.naive.ratio(self.plain) if self.naive else None

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dictionaries, for JSON."""
        facts = {key: value for key, value in asdict(self).items() if key not in {"plain", "explained", "naive"}}
        return facts | {"variants": [self._row(variant) for variant in self.variants]}

    def _row(self, variant: Variant) -> dict[str, Any]:
        return {
            "name": variant.name,
            "median_ms": variant.median,
            "quartiles_ms": list(variant.quartiles),
            "ratio": variant.ratio(self.plain),
            "ratio_quartiles": list(quartiles(variant.ratios(self.plain))),
            "peak_mb": variant.peak_mb,
            "peak_growth_percent": variant.growth(self.plain),
            "runs_ms": list(variant.milliseconds),
        }


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """What a quarter and three quarters of the values stay below."""
    low, high = np.percentile(values, (25, 75))
    return float(low), float(high)


def lasting(seconds: float) -> str:
    """A time as people say it: ``70 ms``, ``8.1 s``, ``2 min 5 s``, ``3 h 20 min``."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        hours, left = divmod(minutes, 60)
        return f"{hours:,} h {left} min" if hours else f"{minutes} min {rest} s"
    number, unit = (seconds, "s") if seconds >= 1 else (1000 * seconds, "ms")
    return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.2g} {unit}"
