"""Our maps beside those of pytorch-grad-cam, for the same weights and images.

    python benchmarks/agreement.py                      # everything, into benchmarks/agreement.csv
    python benchmarks/agreement.py resnet18 densenet121 --out some.csv

Random weights from a fixed seed; BatchNorm is told the statistics of noise, and the last layer is scaled so that scores
have deviation one. The network is exported by torch.export, rewritten, and run in onnxruntime; the same network is
explained by the peer in PyTorch. Maps of the predicted class of two images of noise, both before they are enlarged, are
scaled to [0, 1] in double precision.

The peer explains every image in double precision too. Where its own two answers differ, no comparison in single precision
can be better: a gate (ReLU) so near its kink that rounding opens or shuts it, or a small difference of large numbers.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import importlib.metadata
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import pytorch_grad_cam as peer  # noqa: E402 - only after the operators exist
import timm  # noqa: E402 - likewise
import torchvision  # noqa: E402 - likewise
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit  # noqa: E402 - likewise
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402 - likewise
from torch import nn  # noqa: E402 - likewise

import onnx_reciprocam as rc  # noqa: E402 - likewise

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
COLUMNS = ["network", "method", "target", "grid", "reference", "max_abs_difference", "peer_rounding"]
CLASSES = {
    "gradcam": peer.GradCAM,
    "gradcam++": peer.GradCAMPlusPlus,
    "layercam": peer.LayerCAM,
    "hirescam": peer.HiResCAM,
    "ablationcam": peer.AblationCAM,
    "eigencam": peer.EigenCAM,
    "xgradcam": peer.XGradCAM,
}
MIDDLE = ["gradcam", "layercam"]
GRAD_CAM = f"grad-cam {importlib.metadata.version('grad-cam')}"
ZEROED = f"{GRAD_CAM}, channels set to 0"


@dataclass(frozen=True)
class Case:
    """A network and where it is hooked.

    Args:
        make: The network.
        last: The module whose output is the target, of all methods.
        middle: Another, for some of them.
        tail: Everything behind ``last``, given the network.
        tokens: Whether the target holds a class token and patches.
    """

    make: Callable[[], nn.Module]
    last: str
    middle: str = ""
    tail: Callable[[Any], list[nn.Module]] = lambda _: []
    tokens: bool = False


def pooled(head: str) -> Callable[[Any], list[nn.Module]]:
    """A global mean and the linear layer of that name."""
    return lambda net: [nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.get_submodule(head)]


NETWORKS = {
    "resnet18": Case(torchvision.models.resnet18, "layer4", "layer3", pooled("fc")),
    "resnet50": Case(torchvision.models.resnet50, "layer4", "layer3", pooled("fc")),
    "vgg16": Case(
        torchvision.models.vgg16, "features.30", "features.23", lambda net: [net.avgpool, nn.Flatten(), net.classifier]
    ),
    "mobilenet_v2": Case(torchvision.models.mobilenet_v2, "features.18", "features.13", pooled("classifier.1")),
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


def run(model: onnx.ModelProto, images: torch.Tensor) -> dict[str, np.ndarray]:
    """All outputs by name."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": images.numpy()}), strict=True))


def hooked(net: nn.Module, layer: str, images: torch.Tensor) -> torch.Tensor:
    """What the module of that name makes."""
    kept: list[torch.Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda *arguments: kept.append(arguments[2].clone()))
    with torch.no_grad():
        net(images)
    handle.remove()
    return kept[0]


def tensor(model: onnx.ModelProto, values: np.ndarray, images: torch.Tensor) -> str:
    """The candidate that holds ``values``."""
    names = {name for node in model.graph.node for name in node.output}
    known = [candidate.tensor for candidate in rc.inspect(model).candidates if candidate.tensor in names]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in known)
    found = run(copy, images)
    alike = [name for name in known if found[name].shape == values.shape]
    return next(name for name in alike if np.abs(found[name] - values).max() < 1e-4 * np.abs(values).max())


class Zeroing(AblationLayer):  # type: ignore[misc]
    """Takes channels away as the paper does.

    pytorch-grad-cam sets them to zero where the smallest activation is zero, and otherwise to the smallest minus 1e7.
    """

    axis = 1

    def __call__(self, _: torch.Tensor) -> torch.Tensor:
        """One channel per image."""
        for image, channel in zip(self.activations, self.indices, strict=False):
            image.select(self.axis - 1, int(channel)).zero_()
        return self.activations


class ZeroingTokens(Zeroing, AblationLayerVit):  # type: ignore[misc]
    """The same of tokens."""

    axis = 2


def patches(tokens: torch.Tensor) -> torch.Tensor:
    """``[B, 1 + 14 * 14, C]`` -> ``[B, C, 14, 14]``."""
    return tokens[:, 1:].reshape(len(tokens), 14, 14, -1).permute(0, 3, 1, 2)


def theirs(
    method: str, net: nn.Module, layer: nn.Module, images: torch.Tensor, ids: list[int], **options: Any
) -> np.ndarray:
    """pytorch-grad-cam's maps before they are cut off at zero and enlarged."""
    kept: list[np.ndarray] = []
    with CLASSES[method](net, [layer], **options) as cam:
        whole = cam.get_cam_image
        cam.get_cam_image = lambda *arguments: kept.append(whole(*arguments)) or kept[0]
        with contextlib.redirect_stderr(io.StringIO()):
            cam(images, [ClassifierOutputTarget(i) for i in ids])
    return np.asarray(kept[0])


def scaled(maps: np.ndarray) -> np.ndarray:
    """To [0, 1]."""
    maps = maps.astype(np.float64)
    low, high = (pick(maps, axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
    return np.asarray((maps - low) / np.where(high > low, high - low, 1))


def compare(name: str) -> list[dict[str, Any]]:
    """The rows of one network."""
    case = NETWORKS[name]
    torch.manual_seed(0)
    net = healthy(case.make())
    images = torch.randn(2, 3, 224, 224)
    model = exported(net, images)
    rows: list[dict[str, Any]] = []
    for place in filter(None, (case.last, case.middle)):
        features = hooked(net, place, images)
        target = tensor(model, features.numpy(), images)
        for method in CLASSES if place == case.last else MIDDLE:
            explained = rc.rewrite(model, method=method, target=target, normalize="none")
            found = run(explained, images)
            ours, ids = found["saliency"][:, 0], found["saliency_classes"][:, 0].tolist()
            given = {"place": place, "method": method, "ids": ids}
            single = references(case, net, images=images, features=features, **given)
            double = references(
                case, copy.deepcopy(net).double(), images=images.double(), features=features.double(), **given
            )
            for (reference, maps), (_, exact) in zip(single, double, strict=True):
                row = (name, method, f"{place} ({target})", "x".join(map(str, ours.shape[1:])), reference)
                numbers = (f"{difference(method, *pair):.1e}" for pair in ((ours, maps), (exact, maps)))
                rows.append(dict(zip(COLUMNS, (*row, *numbers), strict=True)))
                print(*rows[-1].values(), sep=",", flush=True)
    return rows


def references(
    case: Case,
    net: nn.Module,
    *,
    place: str,
    method: str,
    images: torch.Tensor,
    features: torch.Tensor,
    ids: list[int],
) -> list[tuple[str, np.ndarray]]:
    """Everybody else's maps, ``[B, H, W]``, by whose they are."""
    layer = net.get_submodule(place)
    reshape = {"reshape_transform": patches} if case.tokens else {}
    if method != "ablationcam":
        return [(GRAD_CAM, theirs(method, net, layer, images, ids, **reshape))]
    if not case.tokens:  # the tail alone, which gives the same maps sooner
        first = nn.Identity()
        net, layer, images = nn.Sequential(first, *case.tail(net)).eval(), first, features
    ways: list[tuple[str, Any]] = [(ZEROED, ZeroingTokens() if case.tokens else Zeroing())]
    ways.append((GRAD_CAM, AblationLayerVit() if case.tokens else AblationLayer()))
    return [(label, theirs(method, net, layer, images, ids, ablation_layer=way, **reshape)) for label, way in ways]


def difference(method: str, ours: np.ndarray, maps: np.ndarray) -> float:
    """The largest, of maps scaled to [0, 1]; an EigenCAM has no sign of its own, so that theirs may be turned round."""
    if method == "eigencam":
        signs = np.sign((ours * maps).sum((1, 2), keepdims=True))
        return float(np.abs(scaled(ours) - scaled(signs * maps)).max())
    return float(np.abs(scaled(np.maximum(ours, 0)) - scaled(np.maximum(maps, 0))).max())


def main() -> None:
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"all if none is named: {', '.join(NETWORKS)}")
    parser.add_argument("--out", type=Path, default=HERE / "agreement.csv", help="default: %(default)s")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = [row for name in arguments.network or NETWORKS for row in compare(name)]
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
