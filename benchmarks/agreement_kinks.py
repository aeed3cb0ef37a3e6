"""Images for which rounding does not decide on which side of its kink a ReLU is.

A gradient jumps there: where a network in single precision and the same one in double take different sides, maps differ by
what one gate lets through, however right both are. How near an image comes is told by PyTorch in double precision alone.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

KINKS = {"relu": [0.0], "relu_": [0.0], "relu6": [0.0, 6.0], "hardtanh": [0.0, 6.0], "hardtanh_": [0.0, 6.0]}


class _Watch(TorchFunctionMode):  # type: ignore[misc]
    """Keeps the smallest distance of an input to a kink, as a share of the inputs' deviation, while it is ``on``."""

    def __init__(self) -> None:
        super().__init__()
        self.on, self.nearest = False, float("inf")

    def __torch_function__(
        self, call: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Look at what goes into a ReLU, and let it go on."""
        del types
        if self.on:
            for kink in KINKS.get(call.__name__, []):
                self.nearest = min(self.nearest, float((args[0] - kink).abs().min() / args[0].std()))
        return call(*args, **(kwargs or {}))


def far_from_kinks(net: nn.Module, place: str, images: torch.Tensor, count: int = 6) -> torch.Tensor:
    """The images that keep farthest from every kink behind the module called ``place``."""
    twice, watch, distances = copy.deepcopy(net).double(), _Watch(), []

    def start(*_: Any) -> None:
        watch.on = True

    twice.get_submodule(place).register_forward_hook(start)
    for image in images.double().split(1):
        watch.on, watch.nearest = False, float("inf")
        with torch.no_grad(), watch:
            twice(image)
        distances.append(watch.nearest)
    best = sorted(range(len(distances)), key=distances.__getitem__)[-count:]
    print(place, "is at least as far from a kink as", min(distances[i] for i in best), flush=True)
    return images[best]
