"""Kernel SHAP: Shapley values of superpixels by a weighted linear regression."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.errors import MissingPackageError, OptionError
from onnx_reciprocam.methods.black_box import BlackBox, Maps
from onnx_reciprocam.methods.lots import LOT
from onnx_reciprocam.methods.method import Needs
from onnx_reciprocam.methods.superpixels import painted, showing, superpixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Problem


class KernelShap(BlackBox):
    """The authors' package, over which superpixels are shown; where all are hidden the image is the baseline.

    The values of a map's superpixels sum to ``y_c(x) - y_c(baseline)``. The package would keep the ten best features of
    a lasso unless told otherwise (``l1_reg``); here all of them stay. All classes share the inferences.
    """

    name = "kernelshap"
    title = "Kernel SHAP"
    formula = "Shapley value of the pixel's superpixel in the game of y_c of what is shown"
    paper = "Lundberg & Lee, NeurIPS 2017, arXiv:1705.07874"
    needs = (Needs.BLACK_BOX,)
    inferences = "1002"
    samples = 1000
    drawn = True

    def explain(self, problem: Problem) -> Maps:
        """Section 4.1, theorem 2.

        Raises:
            MissingPackageError: shap or scikit-image is not installed.
            OptionError: There are fewer samples than the regression has unknowns.
        """
        labels, done = superpixels(problem.picture), 0
        pieces = int(labels.max()) + 1
        samples = self._samples(pieces)

        def play(shown: NDArray[Any]) -> NDArray[np.float64]:
            nonlocal done
            scores = []
            for start in range(0, len(shown), LOT):
                lot = shown[start : start + LOT] > 0
                scores.append(problem.score(showing(problem, labels, lot))[:, problem.classes])
                done += len(lot)
                problem.progress(done, max(done, samples + 2))
            return np.concatenate(scores).astype(np.float64)

        with _seeded(problem.seed):
            explainer = _package().KernelExplainer(play, np.zeros((1, pieces)))
            values = explainer.shap_values(np.ones(pieces), nsamples=samples, l1_reg=False, silent=True)
        problem.progress(done, done)  # draws that came twice were scored once
        return Maps(painted(values.T, labels))

    def _samples(self, pieces: int) -> int:
        """No more than there are ways to show some of the pieces, and no fewer than say something of each.

        The package draws a set together with what it leaves out, and both say the same of the unknowns.
        """
        ways = int(2**pieces) - 2
        if self.count < min(2 * pieces, ways):
            raise OptionError("--samples", str(self.count), (f"at least {2 * pieces}, twice the superpixels",))
        return min(self.count, ways)


def _package() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # its colour maps, by matplotlib
            import shap
    except ModuleNotFoundError as error:
        raise MissingPackageError(str(error.name or "shap"), "blackbox") from None
    return shap


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The package draws from numpy's global state, which the caller finds as it was."""
    state = np.random.get_state()  # noqa: NPY002 - the one that the package draws from
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
