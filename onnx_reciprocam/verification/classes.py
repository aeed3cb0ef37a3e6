"""Are the explained classes those that were asked for?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.verification.outcome import Check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import ClassChoice


def expected_classes(
    choice: ClassChoice, scores: NDArray[np.float64], fed: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """``[B, K]``: the classes that the maps are of.

    Args:
        choice: The rewritten file's own.
        scores: ``[B, classes]`` as the file returned them; of equal ones the first comes first.
        fed: ``[B, K]`` what was fed, for ``input``.
    """
    if choice.kind == "input" and fed is not None:
        return fed
    batch, classes = scores.shape
    if choice.kind == "all":
        return np.tile(np.arange(classes, dtype=np.int64), (batch, 1))
    order = np.argsort(-scores, axis=1, kind="stable")
    return order[:, : choice.count].astype(np.int64)


def check_classes(name: str, got: NDArray[Any] | None, expected: NDArray[np.int64]) -> Check:
    """Compare the file's ``saliency_classes`` with the expected ones."""
    if got is None:
        return Check(name, False, "the output is absent")
    if got.dtype != np.int64 or got.shape != expected.shape:
        return Check(name, False, f"{got.dtype} {got.shape}, wanted int64 {expected.shape}")
    if not np.array_equal(got, expected):
        image, rank = (int(index) for index in np.argwhere(got != expected)[0])
        wanted = int(expected[image, rank])
        return Check(name, False, f"map {rank} of image {image} is of class {got[image, rank]}, wanted {wanted}")
    return Check(name, True, f"{expected.shape[1]} per image, as asked for")


def requested_classes(
    classes: int, batch: int, shape: tuple[int | None, ...], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Different classes for each image, for a class-ids input declared as ``shape`` (two where it leaves K free)."""
    count = (shape[1] if len(shape) > 1 else None) or min(2, classes)
    return np.stack([rng.permutation(np.arange(max(classes, count)) % classes)[:count] for _ in range(batch)])
