"""LIME: a linear model of the score around one image, in what superpixels are shown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.lots import LOT
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.superpixels import painted, superpixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Problem


class Lime(BlackBox):
    """The authors' package with its own settings: ridge regression of the score by which superpixels are shown.

    Each is shown or hidden by the toss of a coin; images near the whole one, by the cosine between what they show, count
    more. The package works on the network's input, channels last, and hidden superpixels take the baseline. All classes
    share the inferences.
    """

    name = "lime"
    title = "LIME"
    formula = "weight of the pixel's superpixel in a ridge regression of y_c by which superpixels are shown"
    paper = "Ribeiro, Singh & Guestrin, KDD 2016, arXiv:1602.04938"
    needs = (Needs.BLACK_BOX,)
    inferences = "1000"
    samples = 1000
    drawn = True

    def explain(self, problem: Problem) -> Maps:
        """Section 3.4.

        Raises:
            MissingPackageError: lime or scikit-image is not installed.
        """
        try:
            from lime import lime_image
        except ModuleNotFoundError as error:
            raise MissingPackageError(str(error.name or "lime"), "blackbox") from None
        labels, done = superpixels(problem.picture), 0

        def classify(images: NDArray[np.float32]) -> NDArray[np.float32]:
            nonlocal done
            scores = problem.score(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
            done += len(images)
            problem.progress(done, self.count)
            return scores[:, problem.classes]

        with _quiet(lime_image):
            found = lime_image.LimeImageExplainer(random_state=problem.seed).explain_instance(
                np.ascontiguousarray(problem.image.transpose(1, 2, 0)),
                classify,
                labels=range(len(problem.classes)),
                hide_color=problem.baseline,
                top_labels=None,
                num_samples=self.count,
                batch_size=LOT,
                segmentation_fn=lambda _image: labels,
            )
        weights = np.zeros((len(problem.classes), labels.max() + 1))
        for row, pairs in found.local_exp.items():
            for superpixel, weight in pairs:
                weights[row, superpixel] = weight
        return Maps(painted(weights, labels))


@contextmanager
def _quiet(module: Any) -> Iterator[None]:
    """Without the package's progress bar, which has no switch."""
    bar, module.tqdm = module.tqdm, iter
    try:
        yield
    finally:
        module.tqdm = bar
