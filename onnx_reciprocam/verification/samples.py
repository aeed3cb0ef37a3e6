"""What the models are run on: the caller's images, or seeded noise of the declared shapes."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx_reciprocam.errors import InputError, ModelFileError, ProbeError, ShapeMismatchError

if TYPE_CHECKING:
    from onnx_reciprocam.contract import Contract
    from onnx_reciprocam.verification.running import Feeds, Runner, Slot

SIZES = ((224, 224), (256, 256), (299, 299), (384, 384), (32, 32), (48, 192), (48, 320))
"""Tried in turn where a model declares no height and width: classifiers, then text line readers."""

OBLONG = (256, 192)
"""Tried first for every batch but the first, so that height and width that are open are not always equal."""

CHANNELS = (1, 3, 4)

Images = Mapping[str, ArrayLike] | ArrayLike


@dataclass(frozen=True)
class Samples:
    """Batches to compare the models on, and the batch sizes at which even the original does not run."""

    batches: tuple[Feeds, ...]
    skipped: Mapping[int, str] = field(default_factory=dict)


def noise(runner: Runner, image: str, batches: Sequence[int], seed: int) -> Samples:
    """Seeded inputs on which the model runs, one per batch size; a static batch is the only one.

    Raises:
        ProbeError: It runs on none.
    """
    static = image_slot(runner, image).shape[:1]
    made: list[Feeds] = []
    skipped: dict[int, str] = {}
    for batch in batches if static in {(), (None,)} else [side for side in static if side]:
        sizes = (OBLONG, *SIZES) if made else SIZES
        feeds = _first_that_runs(runner, batch, sizes, np.random.default_rng(seed))
        if isinstance(feeds, ModelFileError):
            skipped[batch] = feeds.reason
        else:
            made.append(feeds)
    if not made:
        raise ProbeError("; ".join(skipped.values()) or "no batch size was asked for")
    return Samples(tuple(made), skipped)


def given(runner: Runner, image: str, images: Images, seed: int) -> Samples:
    """The caller's arrays, in batches of the model's static batch size or all at once; other inputs are noise.

    Raises:
        InputError: A name or a number of images does not fit.
    """
    named = images if isinstance(images, Mapping) else {image: images}
    if unknown := [name for name in named if name not in runner.inputs]:
        raise InputError(unknown[0], f"the model has no such input; it has {', '.join(runner.inputs)}.")
    if image not in named:
        raise InputError(image, "the images are missing.")
    arrays = {name: np.asarray(array, runner.inputs[name].dtype) for name, array in named.items()}
    total = len(np.atleast_1d(arrays[image]))
    batch = (image_slot(runner, image).shape or (None,))[0] or total
    if not total or total % batch:
        raise InputError(image, f"{total} images do not fill batches of {batch}; give a multiple.")
    rest = _noise_of(runner, batch, SIZES[0], np.random.default_rng(seed), besides=arrays)
    parts = []
    for start in range(0, total, batch):
        part = slice(start, start + batch)
        parts.append(
            rest | {key: array[part] if array.shape[:1] == (total,) else array for key, array in arrays.items()}
        )
    return Samples(tuple(parts))


def image_slot(runner: Runner, image: str) -> Slot:
    """The image input.

    Raises:
        InputError: The model has none of that name.
    """
    if image not in runner.inputs:
        raise InputError(image, f"the model has no such input; it has {', '.join(runner.inputs)}.")
    return runner.inputs[image]


def spatial_axes(slot: Slot, layout: str | None) -> tuple[int, int]:
    """Height and width axes of an image input, by the layout it is known to have or by where its channels stand."""
    _, first, _, last = slot.shape if len(slot.shape) == 4 else (None,) * 4
    channels_last = layout == "nhwc" or (layout is None and last in CHANNELS and first not in CHANNELS)
    return (1, 2) if channels_last else (2, 3)


def picture_size(runner: Runner, contract: Contract, feeds: Feeds) -> tuple[int, int]:
    """Height and width of the image batch in ``feeds``.

    Raises:
        ShapeMismatchError: It is none.
    """
    image = contract.inputs["image"]
    if feeds[image].ndim != 4:
        raise ShapeMismatchError("the image input", feeds[image].shape, ["B", "C", "H", "W"])
    layout = contract.preprocessing.layout if contract.preprocessing else None
    down, across = spatial_axes(runner.inputs[image], layout)
    return feeds[image].shape[down], feeds[image].shape[across]


def _first_that_runs(
    runner: Runner, batch: int, sizes: Sequence[tuple[int, int]], rng: np.random.Generator
) -> Feeds | ModelFileError:
    """Noise at the first of ``sizes`` that the model runs at, or the first error."""
    shapes_known = all(None not in slot.shape[1:] for slot in runner.inputs.values())
    failures: list[ModelFileError] = []
    for size in sizes[:1] if shapes_known else sizes:
        feeds = _noise_of(runner, batch, size, rng)
        if (failure := _failure(runner, feeds)) is None:
            return feeds
        failures.append(failure)
    return failures[0]


def _failure(runner: Runner, feeds: Feeds) -> ModelFileError | None:
    """Why the model does not run on these."""
    try:
        runner.run(feeds)
    except ModelFileError as error:
        return error
    return None


def _noise_of(
    runner: Runner, batch: int, size: tuple[int, int], rng: np.random.Generator, besides: Container[str] = ()
) -> dict[str, NDArray[Any]]:
    wanted = {name: slot for name, slot in runner.inputs.items() if name not in besides}
    symbols = (slot.symbols[0] for slot in runner.inputs.values() if len(slot.shape) == 4)
    symbol = next(symbols, None)
    return {name: _fill(name, slot, _shape(slot, batch, size, symbol), rng) for name, slot in wanted.items()}


def _shape(slot: Slot, batch: int, size: tuple[int, int], symbol: str | None) -> tuple[int, ...]:
    """So many images along the first axis, and along those that are named as the pictures' first."""
    wanted = [batch, *(batch if symbol and side == symbol else 1 for side in slot.symbols[1:])]
    if len(slot.shape) == 4:
        down, across = spatial_axes(slot, None)
        wanted[1:] = [3, 3, 3]
        wanted[down], wanted[across] = size
    return tuple(side or other for side, other in zip(slot.shape, wanted, strict=False))


def _fill(name: str, slot: Slot, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if slot.dtype is None:
        raise InputError(name, f"no example of type {slot.kind} can be made; give the input yourself.")
    if slot.dtype.kind == "f":
        return rng.standard_normal(shape).astype(slot.dtype)
    return rng.integers(0, 2 if slot.dtype.kind == "b" else 100, shape).astype(slot.dtype)
