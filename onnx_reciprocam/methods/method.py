"""What every explanation method says of itself, and the two ways in which one is run.

A *spliced* method writes nodes into the file, so that its maps come out of the same ``session.run`` as the predictions
(:mod:`~.spliced`). A *black box* method runs around the session: it calls the plain model many times on changed images
(:mod:`~.black_box`).
"""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Needs(str, Enum):
    """What a method asks of a model beside its scores."""

    CELLS = "cells"
    """A target: a feature map or patch tokens that all paths to the score go through."""
    LINEAR_HEAD = "linear head"
    """Nothing but a mean over cells and linear layers behind the target."""
    GRADIENTS = "gradients"
    """A gradient rule for every operator that it differentiates through (package onnx-ad)."""
    BLACK_BOX = "black box"
    """Nothing: scores are enough."""


class Method:
    """An explanation method; one subclass per file of this folder, one object per configured use.

    Attributes:
        name: As ``--method`` takes it.
        title: As people write it.
        formula: The map of class c in one line of plain text: A is the feature map, g = dy_c/dA, x the image.
        paper: Authors, title, where.
        needs: Of the model.
        inferences: What a map takes, in runs of the plain model; ``1`` is the run that predicts.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    formula: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[Needs, ...]]
    inferences: ClassVar[str] = "1"

    @classmethod
    @abstractmethod
    def unsuited(cls) -> dict[str, str]:
        """Options that mean nothing to the method, by their names in Python, and what they take with it instead."""

    @classmethod
    def refuse(cls, options: Mapping[str, Any]) -> None:
        """Refuse options that mean nothing to the method; None and a rewrite's default are no options.

        Raises:
            OptionError: One of them is set.
        """
        for name, words in cls.unsuited().items():
            value = options.get(name)
            if value is not None and value != getattr(RewriteOptions, name, None):
                raise OptionError(f"--{name.replace('_', '-')}", str(getattr(value, "value", value)), (words,))
