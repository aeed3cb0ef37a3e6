"""What a runtime makes of an explained file, beside onnxruntime's CPU provider."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import runtimes
from explained_files import plain
from plain_networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explained_files import ExplainedFile, Feeds
    from numpy.typing import NDArray
    from runtimes import Outputs

TOLERANCE = 1e-3
"""Largest difference, as a share of a map's spread or of an image's scores'."""


class Runtime(Protocol):
    """Loads a model, feeds it, answers its outputs by name; ``written``: as the file is written, nothing fused."""

    def __call__(self, model: bytes, feeds: Feeds, outputs: Sequence[str], *, written: bool = False) -> Outputs: ...


@dataclass(frozen=True)
class Outcome:
    """How it went.

    Args:
        error: Largest difference of predictions or maps over their spread; NaN if there are none to compare.
        allowed: How large it may be.
        reason: Why it does not run, or what is different; nothing if it went well.
        plain: Whether the original does not run either.
    """

    error: float
    allowed: float = TOLERANCE
    reason: str = ""
    plain: bool = False

    @property
    def fine(self) -> bool:
        """Same predictions, classes and maps."""
        return not self.reason


def judge(runtime: Runtime, file: ExplainedFile) -> Outcome:
    """Run the file at each batch size that it takes, and compare everything it says about explanation and score."""
    network = NETWORKS[file.network]
    errors, allowed, otherwise = [], [TOLERANCE], ""
    for batch in network.batches:
        expected = _expected(file, batch)
        try:
            found = _run(runtime, file, batch, written=network.whole)
        except Exception as error:  # noqa: BLE001 - runtimes raise what they like
            return Outcome(np.nan, reason=_said(error), plain=not _runs_plain(runtime, file.network))
        otherwise = otherwise or _predictions(file, found, expected)
        if reason := _different(found, expected):
            return Outcome(np.nan, reason=reason + otherwise)
        errors.append(difference(found, expected))
        if network.noisy:
            fused = _run(runtimes.onnxruntime, file, batch, written=False)
            allowed.append(2 * difference(fused, expected))
    worst, most = float(np.max(errors)), float(np.max(allowed))
    return Outcome(worst, most, "" if worst <= most else f"differs by {worst:.2g} of the spread{otherwise}")


def difference(found: Outputs, expected: Outputs) -> float:
    """Largest over the outputs, each over its spread: of a map over its cells, of scores over an image's classes."""
    shares = []
    for name, want in expected.items():
        if want.dtype != np.int64 and want.size:
            spread = np.mean(np.ptp(want, axis=tuple(range(2, want.ndim)) or 1))
            shares.append(np.abs(found[name].astype(np.float64) - want).max() / spread)
    return float(np.max(shares))


def _predictions(file: ExplainedFile, found: Outputs, expected: Outputs) -> str:
    """Whether what the network itself says is different already, and no map is to blame."""
    score = file.explained[1].outputs["score"]
    apart = found[score].shape == expected[score].shape and difference({score: found[score]}, {score: expected[score]})
    return ", and predicts otherwise" if apart > TOLERANCE else ""


@cache
def _expected(file: ExplainedFile, batch: int) -> Outputs:
    return _run(runtimes.onnxruntime, file, batch, written=NETWORKS[file.network].whole)


def _run(runtime: Runtime, file: ExplainedFile, batch: int, *, written: bool) -> Outputs:
    model, contract = file.explained
    return runtime(model.SerializeToString(), file.feeds(batch), list(contract.outputs.values()), written=written)


def _different(found: Outputs, expected: Outputs) -> str:
    for name, want in expected.items():
        if found[name].shape != want.shape:
            return f"{name} is {_shape(found[name])} instead of {_shape(want)}"
        if want.dtype == np.int64 and not np.array_equal(found[name], want):
            return f"other {name}"
    return ""


def _shape(array: NDArray[Any]) -> str:
    return "x".join(map(str, array.shape))


def _runs_plain(runtime: Runtime, name: str) -> bool:
    """Whether the runtime takes the network as it was before."""
    model, network = plain(name), NETWORKS[name]
    image = np.zeros((network.batches[0], *network.image), np.float32)
    outputs = [entry.name for entry in model.graph.output]
    try:
        runtime(model.SerializeToString(), {model.graph.input[0].name: image}, outputs, written=network.whole)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
