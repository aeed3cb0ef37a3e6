"""Make the skeletons: export networks with PyTorch, drop their weights, calibrate what they are drawn from.

Run offline, by hand, where torch, torchvision, timm, onnxscript and onnxruntime are installed::

    python tests/zoo/export.py                        # every network of networks.py: hours
    python tests/zoo/export.py resnet18 vit_tiny_patch16_224

A name is torchvision's, or else timm's. The exporters:

    ts1      TorchScript, batch of one       dynamo1  torch.export, batch of one
    tsn      TorchScript, any batch          dynamon  torch.export, any batch

What PyTorch cannot export goes into ``not_exported.csv`` with its reason; if it manages with timm's fused attention
switched off, as timm's own export scripts do, that is kept and said there.
"""

# mypy: disable-error-code="import-not-found"
# PyTorch is needed for this script alone, so the environment that checks types does not have it.

from __future__ import annotations

import contextlib
import csv
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from calibrate import calibrate
from networks import EVERY_WAY, LARGER, TWO_WAYS, exporters_of
from skeleton import write
from weights import drop_traces, drop_weights

with contextlib.suppress(RuntimeError):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _ops = torch.library.Library("torchvision", "DEF")
    for _op in ("nms", "qnms"):
        _ops.define(f"{_op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm
import torchvision

FAILURES = Path(__file__).with_name("not_exported.csv")


def build(name: str) -> tuple[torch.nn.Module, int]:
    """The network in inference mode and the side of its images."""
    if name in torchvision.models.list_models(module=torchvision.models):
        plain = {"aux_logits": False, "init_weights": False} if name in {"googlenet", "inception_v3"} else {}
        model, size = torchvision.models.get_model(name, weights=None, **plain), 299 if name == "inception_v3" else 224
    else:
        model = timm.create_model(name, num_classes=1000)
        size = model.pretrained_cfg["input_size"][-1]
    statistics = [tensor for key, tensor in model.named_buffers() if key.endswith(("running_mean", "running_var"))]
    with torch.no_grad():
        for tensor in [*model.parameters(), *statistics]:  # no two alike, as after training: exporters merge equals
            tensor.add_(0.01 * torch.rand_like(tensor))
    return model.eval(), size


def export(model: torch.nn.Module, size: int, exporter: str) -> onnx.ModelProto:
    """Write the network to ONNX as ``exporter`` does."""
    dynamic = exporter.endswith("n")
    image = torch.randn(2 if dynamic else 1, 3, size, size)
    options: dict[str, Any] = {"input_names": ["input"], "output_names": ["logits"]}
    if exporter.startswith("ts"):
        options |= {"dynamo": False, "opset_version": 17}
        options |= {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}} if dynamic else {}
    else:
        options |= {"dynamo": True, "verbose": False, "external_data": False}
        options |= {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamic else {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (image,), path := str(Path(folder) / "model.onnx"), **options)
        return onnx.load(path)


def attempt(name: str, exporter: str) -> onnx.ModelProto | None:
    """Export with attention fused and, where PyTorch fails at that, without; note what failed."""
    why = ""
    for fused in (True, False):
        timm.layers.set_fused_attn(fused)
        torch.manual_seed(0)
        network, size = build(name)
        try:
            model = export(network, size, exporter)
        except Exception as error:  # noqa: BLE001 - whatever stops the exporter is what the table is to say
            why = why or reason(error)
        else:
            note_failure(name, exporter, why, remedy="exported with fused attention off")
            return model
    note_failure(name, exporter, why, remedy="")
    return None


def reason(error: Exception) -> str:
    """The line of an exporter's message that says why: torch.export puts it behind the name of an exception's class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    causes = [line.split(">: ", 1)[1] for line in lines if line.startswith("<class '") and ">: " in line]
    return causes[-1] if causes else lines[0]


def note_failure(name: str, exporter: str, why: str, remedy: str) -> None:
    """Put a row into the table of failures; without a reason, take out the one that is there."""
    with FAILURES.open(newline="") as file:
        rows = {(row["network"], row["exporter"]): row for row in csv.DictReader(file)}
    rows.pop((name, exporter), None)
    if why:
        rows[name, exporter] = {"network": name, "exporter": exporter, "reason": why, "remedy": remedy}
    with FAILURES.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["network", "exporter", "reason", "remedy"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))


def main(names: list[str]) -> None:
    """Export each network in every way."""
    for name in names or (*EVERY_WAY, *TWO_WAYS, *LARGER):
        for exporter in exporters_of(name):
            if (model := attempt(name, exporter)) is None:
                continue
            path = write(bare(model), name, exporter)
            print(name, exporter, len(model.graph.node), "nodes", path.stat().st_size, "bytes", flush=True)  # noqa: T201 - progress of a script


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with calibrated laws for weights."""
    drop_traces(model)
    drop_weights(model)
    batch, *shape = (length.dim_value for length in model.graph.input[0].type.tensor_type.shape.dim)
    calibrate(model, np.random.default_rng(0).standard_normal((batch or 2, *shape), np.float32))
    return model


if __name__ == "__main__":
    main(sys.argv[1:])
