"""Peers of methods that run the network many times: Score-CAM, Smooth Grad-CAM++ and extremal perturbations.

Each answers with maps and whose they are. Where a peer does something else than the paper, a second answer has that one
thing put right, so that all the rest is compared.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import agreement_networks  # noqa: F401 - before anything imports torchvision
import numpy as np
import torch
import torchcam.methods
from pytorch_grad_cam import ScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    Answers = list[tuple[str, np.ndarray]]

GRAD_CAM, TORCHCAM, TORCHRAY = (
    f"{name} {importlib.metadata.version(name)}" for name in ("grad-cam", "torchcam", "torchray")
)


def score_cam(net: nn.Module, layer: nn.Module, images: torch.Tensor, ids: list[int]) -> Answers:
    """On the image's pixels. The peer stretches its masks from corner to corner; the authors' code and ours do not."""
    centred = partial(nn.Upsample, mode="bilinear", align_corners=False)
    answers = []
    for label, way in ((GRAD_CAM, nn.UpsamplingBilinear2d), (f"{GRAD_CAM}, masks with half-pixel centres", centred)):
        kept: list[np.ndarray] = []
        with ScoreCAM(net, [layer]) as cam, mock.patch("torch.nn.UpsamplingBilinear2d", way):
            whole = cam.get_cam_image
            cam.get_cam_image = lambda *arguments, whole=whole, kept=kept: kept.append(whole(*arguments)) or kept[0]
            with contextlib.redirect_stderr(io.StringIO()):
                cam(images, [ClassifierOutputTarget(i) for i in ids])
        grids = torch.from_numpy(np.asarray(kept[0])).relu()[:, None]
        answers.append((label, centred(size=images.shape[2:])(grids)[:, 0].numpy()))
    return answers


class Drawn:
    """Noise that is drawn already, in the place of torch-cam's distribution."""

    def __init__(self, noise: torch.Tensor) -> None:
        self._next: Iterator[torch.Tensor] = iter(noise)

    def sample(self, size: torch.Size) -> torch.Tensor:
        """The next, the same for all images."""
        return next(self._next).expand(size)


class AsInThePaper(torchcam.methods.SmoothGradCAMpp):  # type: ignore[misc]
    """Three things put right.

    Section 3.2 averages the first derivative as it does the others, torch-cam takes the last noisy image's. The third is
    multiplied by the activations' sum, torch-cam sums products. The map is of the image, torch-cam's of the last noisy one.
    """

    def _compute_smoothgrad_weights(self, class_idx: list[int], eps: float, **options: Any) -> list[torch.Tensor]:
        image = self.hook_a[0].clone()
        powers = [torch.zeros_like(image) for _ in range(3)]
        for _ in range(self.num_samples):
            noisy = (self._input + self._distrib.sample(self._input.size())).requires_grad_()
            self._backprop(self.model(noisy), class_idx, **options)
            powers = [total + self.hook_g[0] ** order / self.num_samples for order, total in enumerate(powers, 1)]
        first, second, third = powers
        self.hook_a[0] = image
        alpha = second / (2 * second + third * image.sum((2, 3), keepdim=True) + eps)
        return [(alpha * first.relu()).sum((2, 3))]


def smooth_grad_cam(
    net: nn.Module, layer: nn.Module, images: torch.Tensor, ids: list[int], noise: np.ndarray
) -> Answers:
    """With our noise, ``[samples, 1, 3, H, W]``, and the divisor's addend that Grad-CAM++ has in pytorch-grad-cam and here."""
    answers = []
    ways = (
        (f"{TORCHCAM}, our noise", torchcam.methods.SmoothGradCAMpp),
        (f"{TORCHCAM}, our noise, sums of the paper", AsInThePaper),
    )
    for label, kind in ways:
        with kind(net, layer, num_samples=len(noise)) as cam:
            cam._distrib = Drawn(torch.from_numpy(noise).to(images.dtype))  # noqa: SLF001 - there is no other way in
            net(images)
            answers.append((label, cam(ids, normalized=False, eps=1e-6)[0].numpy()))
    return answers


def extremal(net: nn.Module, images: torch.Tensor, ids: list[int], area: float, steps: int) -> Answers:
    """Masks ``[B, H, W]`` of the authors' own code; it computes in single precision alone."""
    from torchray.attribution.extremal_perturbation import extremal_perturbation

    masks = [
        extremal_perturbation(net, image[None], c, areas=[area], max_iter=steps)[0][0, 0]
        for image, c in zip(images, ids, strict=True)
    ]
    return [(f"{TORCHRAY}, {steps} steps", torch.stack(masks).numpy())]
