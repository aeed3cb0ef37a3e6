"""Methods that are spliced into the file: nodes in the same graph, maps in the same run."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

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
    def unsuited(cls) -> dict[str, str]:
        """Draws; of those that do not mask, masks; of those that ask for no score, which."""
        named = f"nothing with --method {cls.name}"
        words = dict.fromkeys(("samples", "seed"), f"{named}, which draws no samples")
        if not cls.masks:
            words |= dict.fromkeys(("mask", "vit_mask", "max_memory"), f"{named}: only reciprocam masks cells")
        if not cls.scored:
            words["score"] = f"logit with --method {cls.name}, whose maps no choice of scores changes"
        return words

    @classmethod
    def check(cls, options: RewriteOptions) -> None:
        """Refuse options of a rewrite that mean nothing to the method.

        Raises:
            OptionError: One of them is set.
        """
        cls.refuse(vars(options))
