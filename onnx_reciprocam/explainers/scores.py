"""The plain network as metrics ask it: images in, a score per class out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.contract import Preprocessing, Score
from onnx_reciprocam.explainers.asked import Asked, opened
from onnx_reciprocam.explainers.questions import asking_scores
from onnx_reciprocam.runtime.model_session import ModelSession
from onnx_reciprocam.runtime.preprocess import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.rewriter.network import Network


class ScoreSession(ModelSession):
    """Scores of any number of images, channels first, in lots that the model takes.

    Args:
        network: The plain model.
        score: Which of its numbers.
        preprocessing: How pictures become the input; None for ImageNet's.
        providers: onnxruntime's execution providers; None for the CPU.
        session_options: onnxruntime's ``SessionOptions``.

    Raises:
        InputError: The model takes no pictures, or needs further inputs.
    """

    def __init__(
        self,
        network: Network,
        score: Score = Score.PROBABILITY,
        *,
        preprocessing: Preprocessing | None = None,
        providers: Sequence[Any] | None = None,
        session_options: Any = None,
    ) -> None:
        questions = asking_scores(network, score)
        super().__init__(
            opened(questions, network, providers, session_options),
            image=network.image.name,
            score=network.scores.output.name,
            preprocessing=preprocessing or Preprocessing(),
            labels=(),
        )
        self._name = questions.outputs[0]
        self.settled = settle(self.preprocessing, self.image)
        self._asked = Asked(
            self.run,
            network,
            channels_last=self.settled.layout == "nhwc",
            others=self._other_feeds({}, taken={self.image.name: np.empty(0)}),
        )

    @property
    def inferences(self) -> int:
        """Images scored so far."""
        return self._asked.inferences

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """``[n, C, H, W]`` -> ``[n, classes]``."""
        return self._asked.scores(images, self._name)
