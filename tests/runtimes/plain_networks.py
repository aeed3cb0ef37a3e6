"""Plain networks of each kind that is explained: tiny ones in every dialect, and larger ones."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import precisions
import skeleton
from onnx import TensorProto, helper, version_converter
from tiny_networks import Tiny

from onnx_reciprocam.graph import load
from onnx_reciprocam.models import efficientnet_lite0, fetch

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx


@dataclass(frozen=True)
class Network:
    """A plain model and what it takes.

    Args:
        build: Makes it.
        image: Shape of one picture, batch left out.
        middle: A target further in front than the automatic one; none is asked for where it says nothing.
        batches: Sizes that it takes.
        classes: How many it tells apart, or 3 where it is more.
        tokens: Whether cells are patch tokens, which ``--max-memory`` cannot cut.
        whole: Whether it rounds to 8 bits on the way.
        noisy: Whether sums that differ in the last digit end in other whole numbers, so that even onnxruntime does not agree
            with itself; maps are judged by that.
    """

    build: Callable[[], onnx.ModelProto]
    image: tuple[int, ...]
    middle: str = ""
    batches: tuple[int, ...] = (1, 3)
    classes: int = 3
    tokens: bool = False
    whole: bool = False
    noisy: bool = False


def fixed_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that takes one image at a time."""
    model = copy.deepcopy(model)
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = 1
    return model


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """In Q-DQ pairs, as onnxruntime's quantiser writes them."""
    with tempfile.TemporaryDirectory() as folder:
        return precisions.static(model, Path(folder), "QDQ", "QUInt8", per_channel=True)


def of_opset(opset: int, model: onnx.ModelProto) -> onnx.ModelProto:
    """The same in a newer opset."""
    return version_converter.convert_version(model, opset)


def cumulated() -> onnx.ModelProto:
    """Behind the feature map an operator without a rule, which runs once per cell in a ``Scan``."""
    model = Tiny().build()
    nodes = list(model.graph.node)
    place = next(i for i, node in enumerate(nodes) if node.op_type == "GlobalAveragePool")
    nodes[place].input[0] = "summed"
    nodes.insert(place, helper.make_node("CumSum", ["map", "axis"], ["summed"], "cumsum"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(helper.make_tensor("axis", TensorProto.INT64, [], [3]))
    return model


def packaged(name: str) -> onnx.ModelProto:
    """A real file that ``onnx_reciprocam.models`` knows."""
    return load(str(fetch(name))).proto


TINY = {
    "CNN": Network(precisions.network, (3, 12, 12), "stem"),
    "CNN, batch of 1": Network(lambda: fixed_batch(precisions.network()), (3, 12, 12), "stem", (1,)),
    "NHWC": Network(lambda: Tiny(channels_last=True).build(), (6, 8, 3), "relu0"),
    "ViT": Network(partial(skeleton.transformer, "vit.dynamon"), (3, 48, 48), "node_add_17", tokens=True),
    "ViT, batch of 1": Network(
        partial(skeleton.transformer, "vit.ts1"), (3, 48, 48), "/encoder/Add", (1,), tokens=True
    ),
    "int8": Network(lambda: quantised(precisions.network()), (3, 12, 12), "branch_QuantizeLinear", whole=True),
    "int8, opset 21": Network(
        lambda: quantised(of_opset(21, precisions.network())), (3, 12, 12), "branch_QuantizeLinear", whole=True
    ),
    "CumSum in the tail": Network(cumulated, (3, 6, 8), "map"),
}
LARGE = {
    "EfficientNet-Lite0": Network(efficientnet_lite0, (3, 224, 224)),
    "OpenNSFW, NHWC": Network(partial(packaged, "opennsfw"), (224, 224, 3), batches=(1, 2), classes=2),
    "digit ViT": Network(partial(packaged, "digit-vit"), (1, 56, 80), tokens=True),
    "ResNet-18, int8": Network(
        lambda: quantised(skeleton.load("resnet18", "dynamon")), (3, 224, 224), whole=True, noisy=True
    ),
    "Swin": Network(partial(skeleton.transformer, "swin.dynamon"), (3, 48, 48)),
}
NETWORKS = TINY | LARGE
