"""A case of the rule tables: a tiny tail around one operator, and the terms that must come out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from opsets import newest_runnable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bare_tail import Tail
    from hypothesis.strategies import DataObject

    Build: TypeAlias = "Callable[[Tail, DataObject], str | list[str]]"

NEWEST = newest_runnable(24)
OPSETS = (9, 11, 13, 18, NEWEST)
"""Enough to meet every spelling that changed between attributes and inputs."""


@dataclass(frozen=True)
class Outcome:
    """How the tested node must be carried.

    Args:
        term: ``Spot``, ``Window``, ``Stacked`` or ``per cell``.
        widened: Why it is no narrower term, as a regular expression; nothing if a rule of the table answered.
    """

    term: str
    widened: str = ""

    @property
    def ruled(self) -> bool:
        return not self.widened


SPOT = Outcome("Spot")
WINDOW = Outcome("Window")
STACKED = Outcome("Stacked")


def widened(reason: str) -> Outcome:
    """No rule for ``Spot`` fits, one for ``Stacked`` does."""
    return Outcome("Stacked", reason)


def looped(reason: str) -> Outcome:
    """No rule of either table fits."""
    return Outcome("per cell", reason)


@dataclass(frozen=True)
class Case:
    """One operator in one circumstance.

    Args:
        op: Its key in the tables.
        build: Writes the tail, its node under test by ``tail.tested``; answers with the outputs to compare.
        spot: What becomes of it behind one live cell among resting ones.
        window: What becomes of it behind a few live cells; None if the same, but for a ``Window`` in place of a ``Spot``.
        stacked: What becomes of it behind one copy per mask.
        note: What sets the case apart from others of the same operator.
        layout: Of the features.
        opsets: To try; without any, one of :data:`OPSETS` is drawn each time.
        since: The first opset that has the operator.
        batch: Kinds of batch that make sense: ``one``, ``three`` (both static) and ``any``.
        channels: Numbers of channels that make sense.
    """

    op: str
    build: Build
    spot: Outcome = SPOT
    window: Outcome | None = None
    stacked: Outcome = STACKED
    note: str = ""
    layout: str = "b c h w"
    opsets: tuple[int, ...] = ()
    since: int = 9
    batch: tuple[str, ...] = ("any", "one", "three")
    channels: tuple[int, ...] = (1, 2, 3, 4)

    def __str__(self) -> str:
        return f"{self.op.replace(':', '.')} {self.note}".strip().replace(" ", "-")

    @property
    def windowed(self) -> Outcome:
        """What becomes of it behind a few live cells; where it has to be widened, the reason may be another."""
        same = WINDOW if self.spot == SPOT else self.spot
        return self.window or (same if same.ruled else replace(same, widened=".+"))

    @property
    def known_opsets(self) -> tuple[int, ...]:
        return tuple(sorted({max(opset, self.since) for opset in self.opsets or OPSETS}))
