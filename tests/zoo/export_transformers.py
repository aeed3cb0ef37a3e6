"""Export tiny transformers with random weights, whole and gzipped: ``python tests/zoo/export_transformers.py``.

Run offline, with PyTorch and torchvision; the tests read the files and need neither.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import torch

_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchvision.models import SwinTransformer, VisionTransformer  # noqa: E402 - only after the operators exist

FOLDER = Path(__file__).with_name("transformers")
SIDE = 48
MODELS = {
    "vit": lambda: VisionTransformer(
        image_size=SIDE, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=48, num_classes=7
    ),
    "swin": lambda: SwinTransformer(
        patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=[3, 3], num_classes=7
    ),
}
EXPORTERS: dict[str, dict[str, Any]] = {
    "ts1": {"dynamo": False, "opset_version": 17},
    "dynamon": {"dynamo": True, "verbose": False, "dynamic_shapes": ({0: torch.export.Dim("batch")},)},
}


def export(name: str, exporter: str) -> None:
    """Write one model; its weights are shaken, so that no layer starts as zero or one."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    images = torch.randn(1 if exporter == "ts1" else 2, 3, SIDE, SIDE)
    options = EXPORTERS[exporter]
    buffer = io.BytesIO()
    names = {"input_names": ["input"], "output_names": ["logits"]}
    if options["dynamo"]:
        proto = torch.onnx.export(model, (images,), **names, **options).model_proto
        for node in proto.graph.node:
            del node.metadata_props[:]  # stack traces, with paths of this machine
        buffer.write(proto.SerializeToString())
    else:
        torch.onnx.export(model, (images,), buffer, **names, **options)
    (FOLDER / f"{name}.{exporter}.onnx.gz").write_bytes(gzip.compress(buffer.getvalue(), 9, mtime=0))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for model_name in MODELS:
        for exporter_name in EXPORTERS:
            export(model_name, exporter_name)
