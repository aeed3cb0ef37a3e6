"""Runs a torchvision network, plain or with pytorch-grad-cam. Needs the environment ``grad_cam``."""

# mypy: disable-error-code="import-not-found"
# what it imports is installed in the peer's environment, where no type checker runs

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from turns import noise, serve

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = ("GradCAM", "ScoreCAM")


def prepare(task: dict[str, Any]) -> Callable[[], object]:
    """Build the network with random weights.

    Args:
        task: ``model``, as torchvision names it; ``variant``, ``plain`` or one of :data:`METHODS`; ``threads``.
    """
    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)
    network = getattr(_torchvision().models, task["model"])(weights=None).eval()
    image = torch.from_numpy(noise(1))
    if task["variant"] == "plain":
        return partial(_predict, network, image)
    import pytorch_grad_cam

    method = getattr(pytorch_grad_cam, task["variant"])
    return partial(method(network, [last_stage(network)]), image)  # of the predicted class, as no other is named


@torch.inference_mode()  # type: ignore[untyped-decorator]  # see the top
def _predict(network: Any, image: Any) -> object:
    return network(image)


def last_stage(network: Any) -> Any:
    """The layer that pytorch-grad-cam's README recommends: the last with cells."""
    return network.layer4[-1] if hasattr(network, "layer4") else network.features[-1]


def _torchvision() -> Any:
    try:
        import torchvision
    except RuntimeError:  # a CUDA build beside a CPU build of torch misses its operators; no classifier calls them
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


if __name__ == "__main__":
    serve(prepare)
