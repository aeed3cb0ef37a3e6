"""Our maps beside those of pytorch-grad-cam, torch-cam and TorchRay, for the same weights and images.

    python benchmarks/agreement.py                      # everything, into benchmarks/agreement.csv
    python benchmarks/agreement.py resnet18 densenet121 --out some.csv

Random weights from a fixed seed; BatchNorm is told the statistics of noise, and the last layer is scaled so that scores
have deviation one. The network is exported by torch.export, rewritten, and run in onnxruntime; the same network is
explained by the peer in PyTorch. Maps of the predicted class, both before they are enlarged, are scaled to [0, 1] in double
precision. Of 24 images of noise those six are looked at that keep farthest from the kinks of the ReLUs behind the target,
and the two taken whose GradCAM the peer itself rounds least.

The peer explains every image in double precision too. Where its own two answers differ, no comparison in single precision
can be better: a gate (ReLU) so near its kink that rounding opens or shuts it, or a small difference of large numbers.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agreement_sampled as sampled
import numpy as np
import onnx
import onnxruntime as ort
import pytorch_grad_cam as peer
import torch
from agreement_kinks import far_from_kinks
from agreement_networks import NETWORKS, Case, exported, healthy, hooked
from agreement_sampled import GRAD_CAM
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

import onnx_reciprocam as rc
from onnx_reciprocam.methods.extremal import AREA

if TYPE_CHECKING:
    from agreement_sampled import Answers

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
ZEROED = f"{GRAD_CAM}, channels set to 0"
IMAGES = 24
"""Of noise, among which two are chosen that rounding moves little: by the peer alone, before ours is asked."""
HALF = onnx.TensorProto.FLOAT16


def run(model: onnx.ModelProto, images: torch.Tensor) -> dict[str, np.ndarray]:
    """All outputs by name."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": images.numpy()}), strict=True))


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
    noise = torch.randn(IMAGES, 3, 224, 224)
    model = exported(net, noise[:2])
    rows: list[dict[str, Any]] = []
    for place in filter(None, (case.last, case.middle)):
        images = steady(case, net, place, far_from_kinks(net, place, noise))
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
            rows += judged((name, method, f"{place} ({target})"), ours, single, double)
        if case.steps and place == case.last:
            rows += compare_sampled(name, net, model, target, images)
    return rows


def steady(case: Case, net: nn.Module, place: str, noise: torch.Tensor) -> torch.Tensor:
    """The two images whose GradCAM moves least between the peer's two precisions."""
    twice, moves = copy.deepcopy(net).double(), []
    for image in noise.split(1):
        with torch.no_grad():
            ids = net(image).argmax(1).tolist()
        given = {"place": place, "method": "gradcam", "ids": ids, "features": image}  # GradCAM reads no features
        single, double = (references(case, *way, **given)[0][1] for way in ((net, image), (twice, image.double())))
        moves.append(difference("gradcam", single, double))
    return noise[np.argsort(moves)[:2].tolist()]


def judged(names: tuple[str, ...], ours: np.ndarray, single: Answers, double: Answers = ()) -> list[dict[str, Any]]:
    """A row for each answer of a peer, which is in single precision and perhaps in double as well."""
    rows = []
    for place, (reference, maps) in enumerate(single):
        numbers = [f"{difference(names[1], ours, maps):.1e}"]
        numbers.append(f"{difference(names[1], double[place][1], maps):.1e}" if double else "")
        row = (*names, "x".join(map(str, ours.shape[1:])), reference, *numbers)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(*row, sep=",", flush=True)
    return rows


def compare_sampled(
    name: str, net: nn.Module, model: onnx.ModelProto, target: str, images: torch.Tensor
) -> list[dict[str, Any]]:
    """The rows of methods that run the network many times."""
    layer, place = net.get_submodule(NETWORKS[name].last), f"{NETWORKS[name].last} ({target})"
    twice = copy.deepcopy(net).double()
    layer_twice = twice.get_submodule(NETWORKS[name].last)
    explained = rc.rewrite(model, method="smoothgradcam++", target=target, normalize="none")
    (noise,) = (onnx.numpy_helper.to_array(t) for t in explained.graph.initializer if t.data_type == HALF)
    found = run(explained, images)
    ids = found["saliency_classes"][:, 0].tolist()
    ways = [
        sampled.smooth_grad_cam(*at, ids, noise) for at in ((net, layer, images), (twice, layer_twice, images.double()))
    ]
    rows = judged((name, "smoothgradcam++", place), found["saliency"][:, 0], *ways)
    one, first = images[:1], ids[:1]  # a thousand runs each, and more
    ours = around(model, "scorecam", one, target=target)
    rows += judged((name, "scorecam", place), ours, sampled.score_cam(net, layer, one, first))
    for steps in NETWORKS[name].steps:
        ours = around(model, "extremal", one, samples=steps)
        frozen = copy.deepcopy(net)  # TorchRay takes the gradients of the weights away for good, and has one precision
        nudged = torch.nextafter(one, torch.full_like(one, torch.inf))
        ways = [sampled.extremal(frozen, image, first, AREA, steps) for image in (one, nudged)]
        rows += judged((name, "extremal", "input"), ours, *ways)
    return rows


def around(model: onnx.ModelProto, method: str, images: torch.Tensor, **options: Any) -> np.ndarray:
    """Maps of the predicted class on the images' pixels, by a black box."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = torch.get_num_threads(), 3
    session = rc.explainer(model, method, normalize="none", session_options=settings, **options)
    return np.asarray(session(images.numpy()).saliency[:, 0])


def references(
    case: Case,
    net: nn.Module,
    images: torch.Tensor,
    *,
    place: str,
    method: str,
    features: torch.Tensor,
    ids: list[int],
) -> Answers:
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
