"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verification:
    """Every check of one rewritten file.

    Args:
        checks: In the order they were made.
        worst: Largest error of any map as a share of its tolerance, at most 1 in a correct file; NaN when no map could be
            compared.
        maps: Maps looked at, over all batches.
        flat: Of these, how many have a naive spread below their own tolerance, so that normalised they say nothing.
    """

    checks: tuple[Check, ...]
    worst: float = float("nan")
    maps: int = 0
    flat: int = 0

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def rows(self) -> list[tuple[str, str, str]]:
        """``(check, ok or FAILED, detail)`` for a table."""
        return [(check.name, "ok" if check.passed else "FAILED", check.detail) for check in self.checks]

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [f"{name:{width}}  {answer:6}  {detail}" for name, answer, detail in self.rows()]
        verdict = "passed" if self.passed else f"{len(self.failures)} of {len(self.checks)} checks failed"
        return "\n".join([*lines, verdict])
