"""Small images, maps and a network of one layer, and how often a law is tried."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

law = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

seeds = st.integers(0, 2**32 - 1)
shares = st.floats(0, 1)


def maps(
    count: int | None = None, side: int = 5, low: float = -1e6, high: float = 1e6
) -> st.SearchStrategy[np.ndarray]:
    """``[B, h, w]``, plateaus included."""
    few = st.sampled_from([low, 0.0, high]) if low <= 0 <= high else st.sampled_from([low, high])
    cells = st.one_of(few, st.floats(low, high, width=32))
    shape = st.tuples(st.integers(count or 1, count or 3), st.integers(1, side), st.integers(1, side))
    return shape.flatmap(lambda sizes: arrays.arrays(np.float64, sizes, elements=cells))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@dataclass
class Network:
    """Softmax of a linear layer, each image on its own; remembers how many it got at a time."""

    weights: np.ndarray  # [K, C, H, W]
    sizes: list[int] = field(default_factory=list)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        return np.array([softmax((self.weights * image).sum((1, 2, 3))) for image in images.astype(np.float64)])

    def explain(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """What each pixel adds to the class, squared: the map of E is then another than that of x."""
        self.sizes.append(len(images))
        return np.array(
            [(self.weights[c] * image).sum(0) ** 2 for c, image in zip(classes, images.astype(float), strict=True)]
        )


@dataclass(frozen=True)
class Example:
    network: Network
    images: np.ndarray
    maps: np.ndarray
    """In [0, 1], on the images' own pixels, with ties."""


def example(
    seed: int, *, count: int = 5, channels: int = 3, height: int = 6, width: int = 7, classes: int = 4
) -> Example:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(classes, channels, height, width))
    images = random.normal(size=(count, channels, height, width)).astype(np.float32)
    return Example(Network(weights), images, random.integers(0, 9, (count, height, width)) / 8)
