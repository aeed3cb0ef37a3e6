"""The one call: both files through every check, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import ModelFileError, NodeNotFoundError, OptionError, VerificationError
from onnx_reciprocam.verification.agreement import check_activation, check_norm, read_contract
from onnx_reciprocam.verification.loading import Model, ModelSource
from onnx_reciprocam.verification.map_range import NAIVE
from onnx_reciprocam.verification.naive import Naive
from onnx_reciprocam.verification.outcome import Check, Verification
from onnx_reciprocam.verification.predictions import HALF_ROUNDING, ROUNDING
from onnx_reciprocam.verification.preserved import check_preserved
from onnx_reciprocam.verification.running import Feeds, Runtime, quiet_options
from onnx_reciprocam.verification.samples import Images, Samples, given, noise
from onnx_reciprocam.verification.trial import Pair, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnxruntime as ort

    from onnx_reciprocam.contract import Contract


def verify(
    explained: ModelSource,
    original: ModelSource,
    images: Images | None = None,
    *,
    batches: Sequence[int] = (1, 2),
    cells: int | None = None,
    seed: int = 0,
    optimised: bool = False,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    session_options: Callable[[], ort.SessionOptions] = quiet_options,
) -> Verification:
    """Check a rewritten file against its original: the same predictions, and maps equal to the naive explanation.

    Only ReciproCAM has a naive explanation. Maps of other methods are checked for their shape and range, and a check says so.

    Args:
        explained: The rewritten file: a path, its bytes, or a ModelProto.
        original: The file it was made from, likewise.
        images: Inputs by name, or the image input's array; seeded noise of the declared shapes where absent.
        batches: Batch sizes of that noise; a model with a static batch runs at that one alone.
        cells: Compare so many random cells instead of all; maps that are normalised or enlarged need all of them.
        seed: Of the noise, the cells, and the class ids.
        optimised: Whether a tool has optimised the rewritten file since, so that its nodes are no longer the original's and
            its predictions are the same but for rounding.
        providers: onnxruntime's execution providers.
        session_options: Makes fresh session options for every session.

    Returns:
        Every check, passed or failed.

    Raises:
        ModelFileError: A file is no ONNX model, or the original does not load.
        NotRewrittenError, MetadataError: ``explained`` is a plain model, or its metadata is damaged.
        AlreadyRewrittenError: ``original`` is a rewritten file.
        UnsupportedModelError: The target or its layout has no naive explanation here.
        ProbeError, InputError: The original does not run on any noise, or ``images`` do not fit it.
    """
    if cells is not None and cells < 1:
        raise OptionError("--cells", str(cells), ("a number of cells, at least 1", "nothing for all"))
    new, old = Model.load(explained, "the explained model"), Model.load(original, "the original model")
    contract = read_contract(new, old)
    checks = check_preserved(new, old, contract, optimised=optimised)
    checks += [check_activation(old, contract), *check_norm(old, contract)]
    runtime = Runtime(providers, session_options)
    plain, image = Pair.open(runtime, old), contract.inputs["image"]
    samples = noise(plain.fast, image, batches, seed) if images is None else given(plain.fast, image, images, seed)
    checks += _skipped(samples)
    try:
        pair = Pair.open(runtime, new)
    except ModelFileError as error:
        return Verification((*checks, Check("loads", False, str(error))))
    naive = _naive(old, contract, runtime, checks) if contract.method == NAIVE else None
    rng = np.random.default_rng(seed)
    rounding = HALF_ROUNDING if old.is_half else ROUNDING
    trial = Trial(contract, plain, pair, naive, cells=cells, rng=rng, rounding=rounding, optimised=optimised)
    for label, feeds in zip(_labels(samples.batches, image, images), samples.batches, strict=True):
        trial.on(label, feeds)
    return trial.verdict(checks)


def _naive(original: Model, contract: Contract, runtime: Runtime, checks: list[Check]) -> Naive | None:
    """The original cut at the target; where the metadata's target is wrong, a failed check instead."""
    try:
        return Naive(original, contract, runtime)
    except (NodeNotFoundError, VerificationError, ModelFileError) as error:
        checks.append(Check("target", False, str(error)))
        return None


def _skipped(samples: Samples) -> list[Check]:
    return [
        Check(f"batch {size}", True, f"skipped, the original fails: {why}") for size, why in samples.skipped.items()
    ]


def _labels(batches: Sequence[Feeds], image: str, images: Images | None) -> list[str]:
    sizes = [len(feeds[image]) for feeds in batches]
    if images is None:
        return [f"batch {size}" for size in sizes]
    return [f"images {number * size}-{(number + 1) * size - 1}" for number, size in enumerate(sizes)]
