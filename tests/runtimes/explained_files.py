"""Explained files as other runtimes get them: a network times an option of ``rewrite``, and what the file is fed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from plain_networks import LARGE, NETWORKS, TINY

from onnx_reciprocam.contract import ClassChoice, Mask, Normalize, RewriteOptions, Score, Upsample
from onnx_reciprocam.rewriter import rewrite_with

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from onnx_reciprocam.contract import Contract

    Feeds = dict[str, NDArray[Any]]

OPTIONS: dict[str, dict[str, Any]] = {
    "predicted": {},
    "top:3": {"classes": ClassChoice("top", 3)},
    "all": {"classes": ClassChoice("all", None)},
    "input": {"classes": ClassChoice("input", None)},
    "none": {"normalize": Normalize.NONE},
    "upsample": {"upsample": Upsample.INPUT},
    "probability": {"score": Score.PROBABILITY},
    "gaussian": {"mask": Mask.GAUSSIAN},
    "toggle": {"toggle": True},
    "toggle off": {"toggle": True},
    "toggle required": {"toggle": True},
    "toggle required, off": {"toggle": True},
    "middle": {},
    "middle, max-memory": {},
}
"""``middle`` is a target further in front. ``toggle required``: the default of ``explain`` taken out of the file, so that every
caller must say; ``off``: the caller says no."""
OF_LARGE_FILES = ("predicted", "top:3", "upsample", "gaussian", "toggle")
OF_NOISY_FILES = ("input",)
"""Where a runtime could predict another class, it is given one."""


@dataclass(frozen=True)
class ExplainedFile:
    """What a runtime is given.

    Args:
        network: A key of ``NETWORKS``.
        option: A key of ``OPTIONS``.
    """

    network: str
    option: str

    def __str__(self) -> str:
        return f"{self.network}; {self.option}"

    @property
    def explained(self) -> tuple[onnx.ModelProto, Contract]:
        """The rewritten file and what its metadata say."""
        return _explained(self.network, self.option.removesuffix(", off").removesuffix(" off"))

    def feeds(self, batch: int) -> Feeds:
        """Noise from a fixed seed, and what else the option makes an input."""
        _, contract = self.explained
        image = NETWORKS[self.network].image
        rng = np.random.default_rng(batch)
        feeds: Feeds = {contract.inputs["image"]: rng.standard_normal((batch, *image), np.float32)}
        if self.option == "input":
            classes = np.arange(batch * 2, dtype=np.int64).reshape(batch, 2) % 2
            feeds[contract.inputs["saliency_class_ids"]] = classes
        if self.option.endswith("off") or "required" in self.option:
            feeds[contract.inputs["explain"]] = np.array(not self.option.endswith("off"))
        return feeds


def _options(name: str) -> list[str]:
    network = NETWORKS[name]
    if name in LARGE:
        large = OF_NOISY_FILES if network.noisy else OF_LARGE_FILES
        return [option for option in large if option != "top:3" or network.classes >= 3]
    middle = ["middle", "middle, max-memory"][: 2 - network.tokens] if network.middle else []
    return [*(option for option in OPTIONS if not option.startswith("middle")), *middle]


TINY_FILES = [ExplainedFile(name, option) for name in TINY for option in _options(name)]
LARGE_FILES = [ExplainedFile(name, option) for name in LARGE for option in _options(name)]


@cache
def plain(network: str) -> onnx.ModelProto:
    """The network, built once."""
    return NETWORKS[network].build()


@cache
def _explained(network: str, option: str) -> tuple[onnx.ModelProto, Contract]:
    options = dict(OPTIONS[option])
    if option.startswith("middle"):
        options["target"] = NETWORKS[network].middle
    if "max-memory" in option:
        options["max_memory"] = _explained_memory(network) // 2
    spliced = rewrite_with(plain(network), None, RewriteOptions(**options))
    assert ("max-memory" in option) == (spliced.chunks > 1)
    if "required" in option:
        _require(spliced.model.graph, spliced.contract.inputs["explain"])
    return spliced.model, spliced.contract


def _require(graph: onnx.GraphProto, name: str) -> None:
    """Take out the default of an input."""
    graph.initializer.remove(next(tensor for tensor in graph.initializer if tensor.name == name))


def _explained_memory(network: str) -> int:
    return rewrite_with(plain(network), None, RewriteOptions(target=NETWORKS[network].middle)).memory
