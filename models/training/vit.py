# ruff: noqa: INP001 - scripts, no part of the package
# PyTorch is no requirement of this project, so mypy does not find it.
# mypy: disable-error-code="import-not-found,misc"
"""A vision transformer (Dosovitskiy et al., arXiv:2010.11929), written plainly and small."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention, ``[B, T, D] -> [B, T, D]``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Every token asks every other."""
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        weights = (q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5).softmax(dim=-1)
        return self.project((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """Attention, then a hidden layer, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """The residual stream, after this block."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def waves(height: int, width: int, channels: int) -> Tensor:
    """Where each patch lies, ``[1, H * W, C]``: sines and cosines of its row and its column.

    A start that tells neighbours apart from the first step on (Beyer et al., arXiv:2205.01580).
    """
    rates = 100 ** -torch.linspace(0, 1, channels // 4)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    angles = torch.cat([axis.reshape(-1, 1) * rates for axis in (rows, columns)], dim=1)
    return torch.cat([angles.sin(), angles.cos()], dim=1)[None]


class VisionTransformer(nn.Module):
    """``[B, 1, H, W]`` to logits ``[B, classes]``, read from a class token before the patches."""

    def __init__(
        self, grid: tuple[int, int], classes: int, *, patch: int, width: int, heads: int, hidden: int, depth: int
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(waves(*grid, width) / 2)
        self.blocks = nn.Sequential(*(Block(width, heads, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image: Tensor, kept: Tensor | None = None) -> Tensor:
        """Of all patches, or of those numbered ``kept``, ``[B, T]``."""
        patches = self.patches(image).flatten(2).transpose(1, 2) + self.positions
        if kept is not None:
            patches = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[2]))
        x = torch.cat([self.class_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return self.head(self.norm(self.blocks(x))[:, 0])
