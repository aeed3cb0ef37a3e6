"""Methods that are spliced into the file: nodes in the same graph, maps in the same run."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from onnx_reciprocam.contract import Mask, Score, VitMask
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods.method import Method

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.contract import RewriteOptions
    from onnx_reciprocam.methods.scene import Scene


class InGraph(Method):
    """A method whose maps are nodes of the file.

    Attributes:
        masks: Whether it masks cells, so that ``--mask`` and ``--vit-mask`` mean something.
        scored: Whether it asks for the score that ``--score`` chooses.
        for_class: Whether its maps differ between classes.
    """

    masks: ClassVar[bool] = False
    scored: ClassVar[bool] = True
    for_class: ClassVar[bool] = True

    @abstractmethod
    def maps(self, scene: Scene) -> gs.Tensor:
        """Write the method.

        Returns:
            Raw maps, ``[B, K, N]``, or ``[B, 1, N]`` where ``for_class`` is false.

        Raises:
            UnsupportedModelError: The network is of a kind that the method cannot explain.
        """

    @classmethod
    def check(cls, options: RewriteOptions) -> None:
        """Refuse options that mean nothing to the method.

        Raises:
            OptionError: One of them is set.
        """
        if options.score is not Score.LOGIT and not cls.scored:
            words = f"logit with --method {cls.name}, whose maps no choice of scores changes"
            raise OptionError("--score", options.score.value, (words,))
        if cls.masks:
            return
        only = (f"nothing with --method {cls.name}: only reciprocam masks cells",)
        if options.mask is not Mask.PIXEL:
            raise OptionError("--mask", options.mask.value, only)
        if options.vit_mask is not VitMask.RESIDUAL:
            raise OptionError("--vit-mask", options.vit_mask.value, only)
        if options.max_memory is not None:
            raise OptionError("--max-memory", f"{options.max_memory}B", only)
