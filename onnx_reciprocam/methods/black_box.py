"""Methods that run around the session: arrays and callables in, maps out; they know nothing of ONNX."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from onnx_reciprocam.contract import Score
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods.method import Method, Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Images: TypeAlias = NDArray[np.float32]
    """``[n, C, H, W]``, as the network takes them, channels first."""
    ScoreFn: TypeAlias = Callable[[Images], NDArray[np.float32]]
    """Scores of every class, ``[n, classes]``, of any number of images."""
    GradientFn: TypeAlias = Callable[[Images, NDArray[np.float32]], Images]
    """Images ``[n, C, H, W]`` and weights ``[n, classes]`` -> gradient of the weighted sum of scores by the images."""
    ProgressFn: TypeAlias = Callable[[int, int], object]
    """Told how many of how many inferences are done."""

IN_GRAPH_ONLY = ("mask", "vit_mask", "max_memory", "toggle", "upsample")
"""Options of a rewrite that mean nothing around a session."""


@dataclass(frozen=True)
class Problem:
    """One image to explain, and the network as far as a method may ask it.

    Args:
        image: ``[C, H, W]`` float32, as the network takes it, channels first.
        picture: The same as people see it, ``[H, W, 3]`` uint8 RGB: what superpixels are cut from.
        classes: The classes to explain, int64 ``[K]``.
        score: The network; images are handed to it in batches that it takes.
        features: The target's channels for one image ``[C, H, W] -> [channels, h, w]``, or None if there is no target.
        gradient: Gradients of the network, or None if nobody asked for them.
        baseline: What stands for "nothing" in the input: one number per channel, ``[C]``; the mean colour is all zeros
            behind the usual normalisation.
        seed: Of whatever is drawn at random.
        progress: Told how far a long run is.
    """

    image: NDArray[np.float32]
    picture: NDArray[np.uint8]
    classes: NDArray[np.int64]
    score: ScoreFn
    features: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None
    gradient: GradientFn | None
    baseline: NDArray[np.float32]
    seed: int = 0
    progress: ProgressFn = lambda _done, _total: None


@dataclass(frozen=True)
class Maps:
    """What a method answers.

    Args:
        values: One raw map per class on the image's pixels, float32 ``[K, H, W]``.
        error: For methods that draw samples, how far the maps may be from those of endless samples: the standard error
            of a pixel over the spread of its map, without the part of the spread that is such error; infinite where the
            map is no more than that; None where nothing is drawn or it is not known.
    """

    values: NDArray[np.float32]
    error: float | None = None


class BlackBox(Method):
    """A method that runs around the session.

    Attributes:
        score: Which number of the network it reads unless the caller chooses another.
        samples: How many masks, steps or draws unless the caller chooses another number; None where that is no choice.
        drawn: Whether it draws at random, so that its seed matters.
        count: The number of samples of this object.

    Args:
        samples: Another number than the method's own.

    Raises:
        OptionError: There is no such choice, or it is below 1.
    """

    score: ClassVar[Score] = Score.PROBABILITY
    samples: ClassVar[int | None] = None
    drawn: ClassVar[bool] = False

    def __init__(self, samples: int | None = None) -> None:
        self.refuse({"samples": samples})
        if samples is not None and samples < 1:
            raise OptionError("--samples", str(samples), ("a number from 1",))
        self.count: int = samples or self.samples or 1

    @classmethod
    def unsuited(cls) -> dict[str, str]:
        """What is written into files; of those without a target, which; of those that do not draw, how."""
        words = dict.fromkeys(IN_GRAPH_ONLY, "nothing around a session: only methods that are spliced into the file")
        named = f"nothing with --method {cls.name}"
        if Needs.CELLS not in cls.needs:
            words["target"] = f"{named}, which needs no target"
        if cls.samples is None:
            words["samples"] = f"{named}, which takes no number of samples"
        if not cls.drawn:
            words["seed"] = f"{named}, which draws nothing at random"
        return words

    @abstractmethod
    def explain(self, problem: Problem) -> Maps:
        """The maps of one image.

        Raises:
            ReciprocamError: The method cannot be used on this network, or a package it needs is missing.
        """
