"""Make the skeletons: export networks with PyTorch, drop their weights, calibrate what they are drawn from.

Run offline, by hand, where torch, torchvision, timm, onnxscript and onnxruntime are installed::

    python tests/zoo/export.py                        # every network of NETWORKS
    python tests/zoo/export.py resnet18 vit_tiny_patch16_224

A name is torchvision's, or else timm's. The exporters:

    ts1      TorchScript, batch of one       dynamo1  torch.export, batch of one
    tsn      TorchScript, any batch          dynamon  torch.export, any batch
"""

# mypy: disable-error-code="import-not-found"
# PyTorch is needed for this script alone, so the environment that checks types does not have it.

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from calibrate import calibrate
from laws import Law, law_of
from onnx import numpy_helper
from skeleton import write

with contextlib.suppress(RuntimeError):  # torchvision's CUDA build imports beside a CPU torch once these exist
    _ops = torch.library.Library("torchvision", "DEF")
    for _op in ("nms", "qnms"):
        _ops.define(f"{_op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm
import torchvision

NETWORKS = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "vgg16",
)
EXPORTERS = ("ts1", "tsn", "dynamo1", "dynamon")
KEPT_SIZE = 64
"""A float constant of no known role and at most so many values stays whole: a bound, a scale, a mask."""


def build(name: str) -> tuple[torch.nn.Module, int]:
    """The network in inference mode and the side of its images."""
    if name in torchvision.models.list_models(module=torchvision.models):
        plain = {"aux_logits": False, "init_weights": False} if name in {"googlenet", "inception_v3"} else {}
        model, size = torchvision.models.get_model(name, weights=None, **plain), 299 if name == "inception_v3" else 224
    else:
        model = timm.create_model(name)
        size = model.pretrained_cfg["input_size"][-1]
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():  # no two alike, as after training: an exporter merges equal tensors
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


def drop_weights(model: onnx.ModelProto) -> None:
    """Replace the values of every weight by the law to draw them from."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    laws = {
        name: law_of(node, position, weights[name])
        for node in model.graph.node
        for position, name in enumerate(node.input)
        if name in weights
    }
    for name, tensor in weights.items():
        values = numpy_helper.to_array(tensor)
        law = laws.get(name)
        if values.size == 1 or (law is None and values.size <= KEPT_SIZE):
            continue
        tensor.doc_string = (law or Law("normal", float(values.mean()), float(values.std()))).to_json()
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")


def drop_traces(model: onnx.ModelProto) -> None:
    """Forget the source files that the exporter recorded: they are this machine's."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.ClearField("doc_string")
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


def main(names: list[str]) -> None:
    """Export each network in every way."""
    for name in names or NETWORKS:
        torch.manual_seed(0)
        network, size = build(name)
        for exporter in EXPORTERS:
            model = export(network, size, exporter)
            drop_traces(model)
            drop_weights(model)
            batch = 2 if exporter.endswith("n") else 1
            calibrate(model, np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32))
            path = write(model, name, exporter)
            print(name, exporter, len(model.graph.node), "nodes", path.stat().st_size, "bytes", flush=True)  # noqa: T201 - progress of a script


if __name__ == "__main__":
    main(sys.argv[1:])
