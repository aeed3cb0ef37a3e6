"""The network as a black-box method calls it: any number of images, channels first, in lots that the model takes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.graph import save
from onnx_reciprocam.runtime.opening import open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import onnxruntime
    from numpy.typing import NDArray

    from onnx_reciprocam.explainers.questions import Questions
    from onnx_reciprocam.rewriter.network import Network

LOT = 32
"""Most images per run of a model whose batch is open."""


def opened(
    questions: Questions, network: Network, providers: Sequence[Any] | None, options: Any
) -> onnxruntime.InferenceSession:
    """The model as a session, through a file: a model in memory ends at 2 GB."""
    with TemporaryDirectory(prefix="reciprocam-") as folder:
        path = Path(folder) / "asked.onnx"
        save(questions.model, path, source_folder=network.model.folder)
        return open_session(path, providers, options)


class Asked:
    """One image's questions.

    Args:
        run: Feeds and names of outputs to outputs, by name.
        network: The plain model.
        channels_last: Whether the model wants them so.
        others: The other inputs for one image.
        lot: Most images per run where the batch is open.

    Attributes:
        inferences: Images that went through the network so far.
    """

    def __init__(
        self,
        run: Callable[[Mapping[str, NDArray[Any]], Sequence[str]], Mapping[str, NDArray[Any]]],
        network: Network,
        *,
        channels_last: bool,
        others: Mapping[str, NDArray[Any]],
        lot: int = LOT,
    ) -> None:
        self._run, self._network, self._last, self._others, self._lot = run, network, channels_last, others, lot
        self._dtype = network.dtype(network.model.tensors[network.image.name])
        self.inferences = 0

    def scores(self, images: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        """``[n, classes]`` of images ``[n, C, H, W]``."""
        return self._all(images, {}, name)

    def gradient(
        self, images: NDArray[np.float32], weights: NDArray[np.float32], names: tuple[str, str]
    ) -> NDArray[np.float32]:
        """``[n, C, H, W]``; ``names`` are those of the input for the weights and of the output."""
        found = self._all(images, {names[0]: np.asarray(weights, np.float32)}, names[1])
        return found.transpose(0, 3, 1, 2) if self._last else found

    def features(self, image: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
        """``[channels, h, w]`` of one image ``[C, H, W]``; ``names`` are those of the channels and of their grid."""
        lot = self._network.image.shape[0] or 1
        answer = self._run(self._feeds(np.repeat(image[None], lot, axis=0), {}), names)
        self.inferences += 1
        cells, grid = (answer[name] for name in names)
        return np.asarray(cells[0].reshape(-1, *grid), np.float32)

    def _all(self, images: NDArray[np.float32], more: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
        fixed = self._network.image.shape[0]
        lot, answers = fixed or self._lot, []
        for start in range(0, len(images), lot):
            part = slice(start, start + lot)
            count = len(images[part])
            padding = (fixed or count) - count  # a fixed batch is filled up with its last image
            filled = [_filled(array[part], padding) for array in (images, *more.values())]
            feeds = self._feeds(filled[0], dict(zip(more, filled[1:], strict=True)))
            answers.append(self._run(feeds, [name])[name][:count])
            self.inferences += count
        return np.concatenate(answers)

    def _feeds(self, images: NDArray[np.float32], more: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        moved = images.transpose(0, 2, 3, 1) if self._last else images
        others = {
            name: np.repeat(value, len(images), axis=0) if value.ndim and len(value) == 1 else value
            for name, value in self._others.items()
        }
        return {self._network.image.name: moved.astype(self._dtype), **others, **more}


def _filled(array: NDArray[Any], padding: int) -> NDArray[Any]:
    return np.concatenate([array, np.repeat(array[-1:], padding, axis=0)]) if padding else array
