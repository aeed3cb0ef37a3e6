"""Export tiny transformers with random weights, whole and gzipped: ``python tests/zoo/export_transformers.py [NAME ...]``.

Run offline, with PyTorch, torchvision and timm; the tests read the files and need none of them.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import torch

_OPERATORS = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from timm.layers import set_fused_attn  # noqa: E402 - only after the operators exist
from timm.models import beit, cait, deit, hiera, mlp_mixer, vision_transformer  # noqa: E402 - likewise
from torchvision.models import SwinTransformer, VisionTransformer  # noqa: E402 - likewise

FOLDER = Path(__file__).with_name("transformers")
WIDE = (32, 48)
SIZES = {"vit": (48, 48), "swin": (48, 48), "hiera": (64, 96)}
"""Height and width of images, where they are not :data:`WIDE`."""
PATCHES: dict[str, Any] = {"img_size": WIDE, "patch_size": 8, "embed_dim": 16, "num_classes": 7}
SMALL: dict[str, Any] = {**PATCHES, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5}
OPEN: dict[str, Any] = {**SMALL, "patch_size": 16, "dynamic_img_size": True}
POOLED: dict[str, Any] = {**SMALL, "class_token": False}
MODELS = {
    "vit": lambda: VisionTransformer(
        image_size=48, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=48, num_classes=7
    ),
    "swin": lambda: SwinTransformer(
        patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=[3, 3], num_classes=7
    ),
    "timm_vit": lambda: vision_transformer.VisionTransformer(**SMALL),
    "deit_distilled": lambda: deit.VisionTransformerDistilled(**SMALL),
    "vit_registers": lambda: vision_transformer.VisionTransformer(**SMALL, reg_tokens=4, no_embed_class=True),
    "vit_mean": lambda: vision_transformer.VisionTransformer(**POOLED, global_pool="avg"),
    "vit_map": lambda: vision_transformer.VisionTransformer(**POOLED, global_pool="map"),
    "cait": lambda: cait.Cait(**SMALL, init_values=0.5),
    "beit": lambda: beit.Beit(**SMALL, use_rel_pos_bias=True, init_values=0.5),
    "mixer": lambda: mlp_mixer.MlpMixer(**PATCHES, num_blocks=2),
    "hiera": lambda: hiera.Hiera(
        img_size=(64, 96),
        embed_dim=4,
        mlp_ratio=1.5,
        num_classes=7,
        stages=(1, 1, 2),
        q_pool=2,
        mask_unit_size=(4, 4),
        mask_unit_attn=(True, True, False),
    ),
    "open_vit": lambda: vision_transformer.VisionTransformer(**OPEN),
    "open_registers": lambda: vision_transformer.VisionTransformer(**OPEN, reg_tokens=4),
    "open_mean": lambda: vision_transformer.VisionTransformer(**OPEN, class_token=False, global_pool="avg"),
}
EXPORTERS: dict[str, dict[str, Any]] = {
    "ts1": {"dynamo": False, "opset_version": 17},
    "ts13": {"dynamo": False, "opset_version": 13},
    "dynamon": {"dynamo": True, "verbose": False, "dynamic_shapes": ({0: torch.export.Dim("batch")},)},
    "open": {"dynamo": True, "verbose": False, "dynamic_shapes": (dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO),)},
}
OLD = {"timm_vit"}
"""What is exported at opset 13 as well, where norms have no operator of their own."""
UNFUSED = {"hiera"}
"""Networks whose attention PyTorch's exporter does not write as one operator."""
NOT_EXPORTED = {("beit", "dynamon")}
"""What PyTorch's exporter gives up on."""


def export(name: str, exporter: str) -> None:
    """Write one model; its weights are shaken, so that no layer starts as zero or one."""
    options = EXPORTERS[exporter]
    set_fused_attn(enable=exporter != "ts13" and name not in UNFUSED)  # at opset 13 it cannot be exported
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    images = torch.randn(2 if options["dynamo"] else 1, 3, *SIZES.get(name, WIDE))
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
    for model_name in sys.argv[1:] or MODELS:
        for exporter_name in EXPORTERS:
            old = exporter_name == "ts13" and model_name not in OLD
            fits = (exporter_name == "open") == model_name.startswith("open_")
            if fits and not old and (model_name, exporter_name) not in NOT_EXPORTED:
                export(model_name, exporter_name)
