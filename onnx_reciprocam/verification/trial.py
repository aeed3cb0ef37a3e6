"""Both files on one batch: predictions, toggle, classes, maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.contract import ClassChoice, Contract
from onnx_reciprocam.errors import ModelFileError, OutputError, ShapeMismatchError
from onnx_reciprocam.verification.classes import check_classes, expected_classes, requested_classes
from onnx_reciprocam.verification.map_range import NAIVE, check_range, seen
from onnx_reciprocam.verification.maps import Comparison, can_sample, compare_maps
from onnx_reciprocam.verification.naive import Naive, by_class
from onnx_reciprocam.verification.outcome import Check, Verification
from onnx_reciprocam.verification.predictions import check_predictions
from onnx_reciprocam.verification.samples import picture_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.verification.loading import Model
    from onnx_reciprocam.verification.running import Feeds, Runner, Runtime


@dataclass(frozen=True)
class Pair:
    """One model with onnxruntime's default optimisations, and with none."""

    fast: Runner
    literal: Runner

    @classmethod
    def open(cls, runtime: Runtime, model: Model) -> Pair:
        """Load it twice."""
        return cls(runtime.open(model), runtime.open(model, optimised=False))


class Trial:
    """Collects the checks of batch after batch.

    Args:
        contract: What the rewritten file says of itself.
        plain, explained: The two models.
        naive: The original cut at the target; None where that failed.
        cells: How many cells to compare, None for all.
        rng: Chooses cells and class ids.
        rounding: By how much predictions may differ where nodes are fused, as a share of the largest.
        optimised: Whether that holds even where the runtime optimises nothing, because another tool did.
    """

    def __init__(
        self,
        contract: Contract,
        plain: Pair,
        explained: Pair,
        naive: Naive | None,
        *,
        cells: int | None,
        rng: np.random.Generator,
        rounding: float,
        optimised: bool = False,
    ) -> None:
        self._contract, self._plain, self._explained = contract, plain, explained
        self._naive, self._cells, self._rng = naive, cells, rng
        self._rounding, self._literal = rounding, rounding if optimised else 0.0
        self._choice = ClassChoice.parse(contract.classes)
        self.checks: list[Check] = []
        self.comparisons: list[Comparison] = []

    def on(self, label: str, feeds: Feeds) -> None:
        """Every check of one batch.

        Raises:
            ModelFileError: The original does not run on it.
        """
        fast, literal = self._plain.fast.run(feeds), self._plain.literal.run(feeds)
        try:
            self._compare(label, feeds, fast, literal)
        except (ModelFileError, OutputError, ShapeMismatchError) as error:
            self.checks.append(Check(f"runs, {label}", False, str(error)))

    def verdict(self, before: Sequence[Check]) -> Verification:
        """The checks made ``before`` and all of these."""
        worst = float(np.fmax.reduce([comparison.worst for comparison in self.comparisons], initial=np.nan))
        maps = sum(comparison.maps for comparison in self.comparisons)
        flat = sum(comparison.flat for comparison in self.comparisons)
        return Verification((*before, *self.checks), worst, maps, flat)

    def _compare(self, label: str, feeds: Feeds, fast: Mapping[str, Any], literal: Mapping[str, Any]) -> None:
        score, batch = self._contract.outputs["score"], len(feeds[self._contract.inputs["image"]])
        if score not in fast or score not in self._explained.fast.outputs:
            raise OutputError(score, "the explained score is no output of both files.")
        asked = self._requests(batch, by_class(fast[score], batch, score).shape[1])
        got = self._explained.fast.run({**feeds, **asked})
        unoptimised = self._explained.literal.run({**feeds, **asked})
        names = list(self._plain.fast.outputs)
        self.checks += [
            check_predictions(f"predictions, {label}", got, fast, names, rounding=self._rounding),
            check_predictions(f"predictions unoptimised, {label}", unoptimised, literal, names, rounding=self._literal),
        ]
        self._check_toggle(label, {**feeds, **asked}, got, names)
        if (chosen := self._chosen(label, got, asked, by_class(got[score], batch, score))) is not None:
            self._check_maps(label, feeds, got, chosen)

    def _requests(self, batch: int, classes: int) -> dict[str, NDArray[Any]]:
        """What the rewritten file takes beside the original's inputs."""
        asked: dict[str, NDArray[Any]] = {}
        known = {**self._explained.fast.inputs, **self._explained.fast.overridable}
        ids, toggle = (self._contract.inputs.get(role, "") for role in ("saliency_class_ids", "explain"))
        if ids in known:
            asked[ids] = requested_classes(classes, batch, known[ids].shape, self._rng)
        if toggle in known:
            asked[toggle] = np.ones([side or 1 for side in known[toggle].shape], np.bool_)
        return asked

    def _check_toggle(self, label: str, feeds: Feeds, got: Mapping[str, Any], names: list[str]) -> None:
        """Switched off, there are no maps and the predictions stay."""
        if (toggle := self._contract.inputs.get("explain")) is None:
            return
        off = self._explained.fast.run({**feeds, toggle: np.zeros_like(feeds.get(toggle, np.bool_(True)))})
        added = [
            self._contract.outputs[role] for role in ("saliency", "saliency_classes") if role in self._contract.outputs
        ]
        full = [
            name
            for name in added
            if name in off and off[name].shape[:2] != (len(feeds[self._contract.inputs["image"]]), 0)
        ]
        if full:
            detail = f"switched off, {full[0]!r} still has shape {off[full[0]].shape}"
            self.checks.append(Check(f"toggle, {label}", False, detail))
        else:
            self.checks.append(check_predictions(f"toggle, {label}", off, got, names, rounding=self._literal))

    def _chosen(
        self, label: str, got: Mapping[str, Any], asked: Feeds, scores: NDArray[np.float64]
    ) -> NDArray[np.int64] | None:
        """``[B, K]``: the file's own classes where they make sense, after checking them."""
        fed = asked.get(self._contract.inputs.get("saliency_class_ids", ""))
        expected = expected_classes(self._choice, scores, fed)
        if self._choice.kind == "all":
            return expected
        own = got.get(self._contract.outputs["saliency_classes"])
        self.checks.append(check_classes(f"classes, {label}", own, expected))
        usable = own is not None and own.shape == expected.shape and ((own >= 0) & (own < scores.shape[1])).all()
        return own.astype(np.int64) if usable and own is not None else None

    def _check_maps(self, label: str, feeds: Feeds, got: Mapping[str, Any], classes: NDArray[np.int64]) -> None:
        saliency = got.get(self._contract.outputs["saliency"])
        if self._naive is None:
            if self._contract.method != NAIVE:
                self.checks.append(check_range(f"maps, {label}", saliency, self._contract, classes.shape))
            return
        features = self._naive.features(feeds)
        grid = self._naive.grid(feeds, features)
        upsampled = self._contract.upsample == "input"
        size = picture_size(self._plain.fast, self._contract, feeds) if upsampled else grid
        wanted = (*classes.shape, *size)
        if saliency is None or saliency.dtype != np.float32 or saliency.shape != wanted:
            self.checks.append(Check(f"maps, {label}", False, f"saliency is {seen(saliency)}, wanted float32 {wanted}"))
            return
        naive = self._naive.maps(feeds, features, classes, self._cells_of(grid))
        comparison = compare_maps(saliency, naive, self._contract, size)
        self.comparisons.append(comparison)
        self.checks.append(Check(f"maps, {label}", comparison.passed, comparison.detail))

    def _cells_of(self, grid: tuple[int, int]) -> NDArray[np.int64]:
        total = grid[0] * grid[1]
        if self._cells is None or self._cells >= total or not can_sample(self._contract):
            return np.arange(total)
        return np.sort(self._rng.choice(total, self._cells, replace=False))
