"""Rewritten files by hand: explanations written node by node from the algebra of CAM.

For a pool-and-linear tail the score under the mask of cell n is ``b_c + A_c(n) / HW``, ``A_c`` the class activation map.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from handmade_plain import CLASSES, GRID, SIZE, WEIGHTS, Plain
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.contract import Contract

if TYPE_CHECKING:
    from onnx_reciprocam.verification import Verification

KERNEL = np.outer([1, 2, 1], [1, 2, 1]) / 16


@dataclass
class Explained:
    """The rewritten file of a :class:`Plain`, by hand.

    Args:
        plain: What it explains.
        classes, score, mask, normalize, upsample: As the contract spells them.
        toggle: Whether it can be switched off.
        spoil: Nodes put between the right map ``right`` and ``spoiled``, the one that is returned.
        constants: What they need.
        class_offset: Added to the class ids that are returned, to make them wrong.
        entries: Metadata that replaces the right one.
    """

    plain: Plain = field(default_factory=Plain)
    classes: str = "predicted"
    score: str = "logit"
    mask: str = "pixel"
    normalize: str = "none"
    upsample: str = "none"
    toggle: bool = False
    spoil: tuple[onnx.NodeProto, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    class_offset: int = 0
    entries: dict[str, Any] = field(default_factory=dict)

    def build(self, original: onnx.ModelProto | None = None) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(original or self.plain.build())
        source = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, Any] = {"maps.weight": WEIGHTS["fc.weight"][:, :, None, None]}
        self._maps()
        self._choose()
        self._finish()
        self._declare(model)
        for number, node in enumerate(self._nodes):
            node.name = f"rc/{number}"
        model.graph.node.extend(self._nodes)
        arrays = self._constants | self.constants
        model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items())
        metadata = self._contract(source).to_metadata() | {"author": "a test"}
        helper.set_model_props(model, metadata)
        return model

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def _maps(self) -> None:
        """``[b, classes, h, w]``: the score of every class under every mask."""
        last = "float"
        if self.plain.layout == "b h w c":
            self._add("Transpose", ["float"], "channels_first", perm=[0, 3, 1, 2])
            last = "channels_first"
        cells = GRID[0] * GRID[1]
        weights = np.full((1, 1, *GRID), 1 / cells, np.float32)
        self._add("Conv", [last, "maps.weight"], "cam")
        if self.mask == "replicated":  # how much of the kernel the border leaves
            sides = [np.array([3 / 4] + [1] * (side - 2) + [3 / 4]) for side in GRID]
            weights = weights * np.outer(*sides).astype(np.float32)
        if self.mask == "gaussian":
            self._constants["kernel"] = np.tile(KERNEL.astype(np.float32), (CLASSES, 1, 1, 1))
            self._add("Conv", ["cam", "kernel"], "blurred", group=CLASSES, pads=[1, 1, 1, 1])
        self._constants |= {"share": weights, "maps.bias": WEIGHTS["fc.bias"][:, None, None]}
        self._add("Mul", ["blurred" if self.mask == "gaussian" else "cam", "share"], "shared")
        self._add("Add", ["shared", "maps.bias"], "logits")
        last = "logits"
        if self.plain.bypass:
            self._constants["map_axes"] = np.array([2, 3])
            self._add("Unsqueeze", ["other", "map_axes"], "other_map")
            self._add("Add", ["logits", "other_map"], "all_logits")
            last = "all_logits"
        if self.score == "probability":
            self._add("Softmax", [last], "all", axis=1)
        else:
            self._add("Identity", [last], "all")

    def _choose(self) -> None:
        """``right [b, K, h, w]`` and ``saliency_classes [b, K]``."""
        if self.classes == "all":
            self._add("Identity", ["all"], "right")
            return
        if self.classes == "input":
            self._add("Identity", ["saliency_class_ids"], "wanted")
        elif self.classes == "predicted":
            self._add("ArgMax", ["rows"], "wanted", axis=1, keepdims=1)
        else:
            self._constants["count"] = np.array([int(self.classes.partition(":")[2])])
            self._nodes.append(helper.make_node("TopK", ["rows", "count"], ["best", "wanted"], axis=1))
        self._constants |= {"last": np.array([2]), "offset": np.array(self.class_offset), "total": np.array(CLASSES)}
        self._add("Unsqueeze", ["wanted", "last"], "indices")
        self._add("GatherND", ["all", "indices"], "right", batch_dims=1)
        self._add("Add", ["wanted", "offset"], "moved_on")
        self._add("Mod", ["moved_on", "total"], "classes")

    def _finish(self) -> None:
        self._nodes.extend(self.spoil)
        last = "spoiled" if self.spoil else "right"
        if self.upsample == "input":
            self._constants["scales"] = np.array([1, 1, 4, 4], np.float32)
            self._add(
                "Resize", [last, "", "scales"], "large", mode="linear", coordinate_transformation_mode="half_pixel"
            )
            last = "large"
        if self.normalize == "minmax":
            self._add("ReduceMin", [last], "low", axes=[2, 3])
            self._add("ReduceMax", [last], "high", axes=[2, 3])
            self._add("Sub", [last, "low"], "above")
            self._add("Sub", ["high", "low"], "span")
            self._constants["tiny"] = np.array(1e-30, np.float32)
            self._add("Max", ["span", "tiny"], "divisor")
            self._add("Div", ["above", "divisor"], "unit")
            last = "unit"
        names = {"saliency": last} | ({} if self.classes == "all" else {"saliency_classes": "classes"})
        self._constants |= {"first": np.array([0]), "second": np.array([1]), "many": np.array([CLASSES])}
        for name, tensor in names.items():
            if self.toggle:
                self._add("Cast", ["explain"], f"{name}/on", to=TensorProto.INT64)
                self._add("Mul", [f"{name}/on", "many"], f"{name}/kept")
                self._add("Slice", [tensor, "first", f"{name}/kept", "second"], name)
            else:
                self._add("Identity", [tensor], name)

    def _declare(self, model: onnx.ModelProto) -> None:
        size = SIZE if self.upsample == "input" else GRID
        info = helper.make_tensor_value_info
        outputs = [info("saliency", TensorProto.FLOAT, ["B", "K", *size])]
        outputs += [] if self.classes == "all" else [info("saliency_classes", TensorProto.INT64, ["B", "K"])]
        inputs = [info("saliency_class_ids", TensorProto.INT64, ["B", "K"])] if self.classes == "input" else []
        if self.toggle:
            inputs.append(info("explain", TensorProto.BOOL, [1]))
            self._constants["explain"] = np.array([True])
        model.graph.input.extend(inputs)
        model.graph.output.extend(outputs)

    def _contract(self, source: str) -> Contract:
        outputs = {"score": "scores", "saliency": "saliency"}
        outputs |= {} if self.classes == "all" else {"saliency_classes": "saliency_classes"}
        inputs = {"image": "image"} | ({"saliency_class_ids": "saliency_class_ids"} if self.classes == "input" else {})
        inputs |= {"explain": "explain"} if self.toggle else {}
        values: dict[str, Any] = {
            "target": "features",
            "method": "reciprocam",
            "mask": self.mask,
            "score": self.score,
            "classes": self.classes,
            "normalize": self.normalize,
            "upsample": self.upsample,
            "activation": next((name.lower() for name in self.plain.ending if name != "Reshape"), "none"),
            "layout": self.plain.layout,
            "grid": (None, None) if self.plain.unknown_size else GRID,
            "outputs": outputs,
            "inputs": inputs,
            "namespace": "rc/",
            "source_sha256": source,
        }
        return Contract(**(values | self.entries))


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def failures(found: Verification) -> set[str]:
    """Names of the failed checks, without their batch."""
    return {check.name.partition(",")[0] for check in found.failures}
