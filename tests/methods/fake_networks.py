"""Classifiers in plain numpy, and problems around them: what a black-box method asks is answered and written down."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from onnx_reciprocam.methods.black_box import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEIGHT, WIDTH, CLASSES = 32, 48, 3


class Network(Protocol):
    """Scores of images, and the gradient of their weighted sum."""

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]: ...

    def gradient(self, images: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Additive:
    """Every pixel adds to the score of class c what ``looks[c]`` says: ``y_c = sum_u looks_c(u) x(u)``."""

    looks: NDArray[Any]  # [classes, C, H, W]

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        return np.einsum("nchw,kchw->nk", images, self.looks)

    def gradient(self, images: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
        return np.einsum("nk,kchw->nchw", weights, self.looks).astype(images.dtype)


@dataclass(frozen=True)
class Softmax:
    """Probabilities: softmax of what another network says."""

    logits: Additive

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        logits = self.logits(images)
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def gradient(self, images: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
        p = self(images)
        return self.logits.gradient(images, p * (weights - (p * weights).sum(1, keepdims=True)))


@dataclass(frozen=True)
class Energy:
    """The contrast inside each class's region: ``y_c = sum_u looks_c(u) x(u)^2``."""

    looks: NDArray[Any]

    def __call__(self, images: NDArray[Any]) -> NDArray[Any]:
        return np.einsum("nchw,kchw->nk", images**2, self.looks)

    def gradient(self, images: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
        return (2 * images * np.einsum("nk,kchw->nchw", weights, self.looks)).astype(images.dtype)


@dataclass
class Asked:
    """A network that remembers how many images it was handed at once, and which, and what was said of progress."""

    network: Network
    sizes: list[int] = field(default_factory=list)
    images: list[NDArray[Any]] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    def score(self, images: NDArray[Any]) -> NDArray[Any]:
        assert images.ndim == 4
        assert images.dtype == np.float32
        self.sizes.append(len(images))
        self.images.extend(images.copy())
        return self.network(images).astype(np.float32)

    def gradient(self, images: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
        self.sizes.append(len(images))
        return self.network.gradient(images, weights).astype(np.float32)

    def tell(self, done: int, total: int) -> None:
        self.progress.append((done, total))


def random_network(seed: int = 0) -> Softmax:
    """Probabilities that no pixel decides alone."""
    size = (CLASSES, 3, HEIGHT, WIDTH)
    return Softmax(Additive(np.random.default_rng(seed).normal(0, 0.03, size)))


def pool(image: NDArray[Any]) -> NDArray[Any]:
    """Features ``[5, 4, 6]``: means over 8 x 8 pixels of the three channels, one of them upside down, one that is flat."""
    means = image.reshape(3, HEIGHT // 8, 8, WIDTH // 8, 8).mean((2, 4))
    return np.concatenate([means, -means[:1], np.ones_like(means[:1])]).astype(np.float32)


def problem(network: Network, *, seed: int = 0, asked: Asked | None = None, **changes: Any) -> Problem:
    """A picture of blocks and noise, not square; with ``asked``, all that is asked and told is written down there."""
    generator = np.random.default_rng(7)
    blocks = np.kron(generator.integers(0, 200, (4, 6, 3)), np.ones((8, 8, 1)))
    picture = (blocks + generator.integers(0, 50, (HEIGHT, WIDTH, 3))).astype(np.uint8)
    image = ((picture / 255 - 0.45) / 0.225).transpose(2, 0, 1).astype(np.float32)
    asked = asked or Asked(network)
    made = Problem(
        image=image,
        picture=picture,
        classes=np.array([1], np.int64),
        score=asked.score,
        features=pool,
        gradient=asked.gradient,
        baseline=np.zeros(3, np.float32),
        seed=seed,
        progress=asked.tell,
    )
    return replace(made, **changes)


def region(rows: slice, columns: slice) -> NDArray[Any]:
    """``[classes, C, H, W]``: class 1 looks at one region, the others nowhere."""
    looks = np.zeros((CLASSES, 3, HEIGHT, WIDTH))
    looks[1, :, rows, columns] = 1
    return looks


def slow_bilinear(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """``[h, w]`` -> ``[height, width]``, one pixel after the other; half-pixel centres, the border repeated."""
    found = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * plane.shape[0] / height - 0.5, 0), plane.shape[0] - 1)
            x = min(max((column + 0.5) * plane.shape[1] / width - 0.5, 0), plane.shape[1] - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
            upper = plane[top, left] * (1 - (x - left)) + plane[top, right] * (x - left)
            lower = plane[bottom, left] * (1 - (x - left)) + plane[bottom, right] * (x - left)
            found[row, column] = upper * (1 - (y - top)) + lower * (y - top)
    return found
