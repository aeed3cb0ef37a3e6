"""Networks with healthy random weights, as modules and as files."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm  # noqa: E402 - only after the operators exist
import torchvision  # noqa: E402 - likewise
from torch import nn  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx


@dataclass(frozen=True)
class Case:
    """A network and where it is hooked.

    Args:
        make: The network.
        last: The module whose output is the target, of all methods.
        middle: Another, for some of them.
        tail: Everything behind ``last``, given the network.
        tokens: Whether the target holds a class token and patches.
        steps: Of the extremal perturbation; if there are any, methods are compared that run the network many times.
    """

    make: Callable[[], nn.Module]
    last: str
    middle: str = ""
    tail: Callable[[Any], list[nn.Module]] = lambda _: []
    tokens: bool = False
    steps: Sequence[int] = ()


def pooled(head: str) -> Callable[[Any], list[nn.Module]]:
    """A global mean and the linear layer of that name."""
    return lambda net: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.get_submodule(head)]


NETWORKS = {
    "resnet18": Case(torchvision.models.resnet18, "layer4", "layer3", pooled("fc"), steps=(1, 5, 20)),
    "resnet50": Case(torchvision.models.resnet50, "layer4", "layer3", pooled("fc")),
    "vgg16": Case(
        torchvision.models.vgg16, "features.30", "features.23", lambda net: [net.avgpool, nn.Flatten(), net.classifier]
    ),
    "mobilenet_v2": Case(
        torchvision.models.mobilenet_v2, "features.18", "features.13", pooled("classifier.1"), steps=(1, 5, 20)
    ),
    "densenet121": Case(
        torchvision.models.densenet121,
        "features.denseblock4",
        "features.denseblock3",
        lambda net: [net.features.norm5, nn.ReLU(), *pooled("classifier")(net)],
    ),
    "vit_tiny_patch16_224": Case(lambda: timm.create_model("vit_tiny_patch16_224"), "blocks.10", tokens=True),
}


def healthy(net: nn.Module) -> nn.Module:
    """Statistics of noise for BatchNorm, logits of deviation one."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    noise = torch.randn(4, 3, 224, 224)
    with torch.no_grad():
        net.train()(noise)
        head = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
        head.weight.normal_(0, 1)
        head.weight /= net.eval()(noise).std()
        head.bias.normal_(0, 0.1)
    return net


def exported(net: nn.Module, images: torch.Tensor) -> onnx.ModelProto:
    """The file, for any number of images."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        program = torch.onnx.export(
            net,
            (images,),
            dynamo=True,
            opset_version=18,
            verbose=False,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    return program.model_proto


def hooked(net: nn.Module, layer: str, images: torch.Tensor) -> torch.Tensor:
    """What the module of that name makes."""
    kept: list[torch.Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda *arguments: kept.append(arguments[2].clone()))
    with torch.no_grad():
        net(images)
    handle.remove()
    return kept[0]
