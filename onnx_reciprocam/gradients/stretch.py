"""A stretch of the network as a model of its own, every shape declared: what onnx-ad differentiates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import onnx
from onnx.helper import make_tensor_value_info

from onnx_reciprocam.gradients.normal_forms import Written, in_normal_form
from onnx_reciprocam.graph import descendants
from onnx_reciprocam.refusals import GradientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Model, Shapes

SMALL = 1024
"""Numbers up to which a constant's values are shown to onnx-ad: axes, shapes, slopes. Weights it takes as inputs."""
OTHER_BATCH = 7
"""A second batch: what differs between two gradients, for the probed batch and for this one, follows the batch."""


@dataclass(frozen=True)
class Stretch:
    """The nodes between a tensor and another that is computed from it.

    Args:
        model: The network.
        shapes: Of all its tensors, probed with ``batch`` images.
        source: Where the stretch begins.
        result: Where it ends.
        batch: As probed.
    """

    model: Model
    shapes: Shapes
    source: gs.Tensor
    result: gs.Tensor
    batch: int

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """In the file's order."""
        behind = descendants(self.model.graph.nodes, [self.source.name])
        wanted, nodes = {self.result.name}, []
        for node in reversed(self.model.view.graph.node):
            if any(name in wanted and name in behind for name in node.output) and self.source.name not in node.output:
                nodes.append(node)
                wanted.update(name for name in node.input if name in behind)
        return nodes[::-1]

    @property
    def moves(self) -> bool:
        """Whether any length in it follows the batch."""
        return any(any(self.shapes.moving.get(name, ())) for node in self.nodes for name in node.output)

    def declared(self, images: int) -> onnx.ModelProto:
        """The stretch as a model for so many images.

        Raises:
            GradientError: A length follows neither the batch nor the file.
        """
        nodes = [*self._ahead, *self._normal(images)]
        made = {name for node in nodes for name in node.output}
        read = list(dict.fromkeys(name for node in nodes for name in node.input if name and name not in made))
        initializers = [tensor for name in read if (tensor := self._small(name)) is not None]
        known = {tensor.name for tensor in initializers}
        inputs = [self._info(name, images) for name in read if name not in known]
        graph = onnx.helper.make_graph(
            nodes, "stretch", inputs, [self._info(self.result.name, images)], initializers,
            value_info=[self._info(name, images) for name in made if name in self.shapes.seen],
        )  # fmt: skip
        imports = self.model.view.opset_import
        return onnx.helper.make_model(graph, opset_imports=imports, ir_version=self.model.view.ir_version)

    def _normal(self, images: int) -> list[onnx.NodeProto]:
        """The nodes, in other words where onnx-ad needs them."""
        names = {name for node in self.nodes for name in (*node.input, *node.output) if name}
        shapes = {
            name: list(self._lengths(name, images))
            if name in self.shapes.seen
            else list(self.model.tensors[name].shape)
            for name in names
        }
        types = {node.output[0]: self.shapes.types.get(node.output[0]) or onnx.TensorProto.FLOAT for node in self.nodes}
        return [
            form
            for node in self.nodes
            for form in in_normal_form(
                Written(
                    node,
                    shapes,
                    self._values,
                    onnx.helper.tensor_dtype_to_np_dtype(types[node.output[0]]),
                    self.model.opset,
                )
            )
        ]

    def _values(self, name: str) -> NDArray[Any] | None:
        tensor = self._small(name)
        return None if tensor is None else onnx.numpy_helper.to_array(tensor)

    @cached_property
    def _ahead(self) -> list[onnx.NodeProto]:
        """Nodes in front that work out small numbers from constants alone, such as the widths of a Pad."""
        known: dict[str, bool] = {}
        nodes: list[onnx.NodeProto] = []

        def is_known(name: str) -> bool:
            if name not in known:
                known[name] = False
                node = self.model.written.get(name)
                known[name] = self._small(name) is not None or (node is not None and is_worked_out(node))
            return known[name]

        def is_worked_out(node: onnx.NodeProto) -> bool:
            sizes = [math.prod(self.shapes.seen[output]) for output in node.output if output in self.shapes.seen]
            read = [name for name in node.input if name]
            if not read or not sizes or max(sizes) > SMALL or not all(map(is_known, read)):
                return False
            nodes.append(node)
            known.update(dict.fromkeys(node.output, True))
            return True

        for name in dict.fromkeys(name for node in self.nodes for name in node.input if name):
            is_known(name)
        return nodes

    def _small(self, name: str) -> onnx.TensorProto | None:
        if name in self._weights or name == self.source.name:
            return None
        values = self.model.constant(self.model.tensors[name])
        return None if values is None or values.size > SMALL else onnx.numpy_helper.from_array(values, name)

    @cached_property
    def _weights(self) -> set[str]:
        """Initializers too large to be shown, left unread."""
        return {tensor.name for tensor in self.model.view.graph.initializer if math.prod(tensor.dims) > SMALL}

    def _info(self, name: str, images: int) -> onnx.ValueInfoProto:
        tensor = self.model.tensors[name]
        if name in self.shapes.seen:
            kind = self.shapes.types.get(name) or onnx.TensorProto.FLOAT
            return make_tensor_value_info(name, kind, list(self._lengths(name, images)))
        kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.dtype)
        return make_tensor_value_info(name, kind, list(tensor.shape))

    def _lengths(self, name: str, images: int) -> Iterator[int]:
        for size, moves in zip(self.shapes.seen[name], self.shapes.moving[name], strict=True):
            if moves and size * images % self.batch:
                raise GradientError(f"the size of {name!r} follows neither the file nor the batch")
            yield size * images // self.batch if moves else size


def stretch(model: Model, shapes: Shapes, source: gs.Tensor, result: gs.Tensor, images: Sequence[str]) -> Stretch:
    """The nodes from ``source`` to ``result``.

    Args:
        model: The network.
        shapes: Of all its tensors.
        source: What gradients are wanted by.
        result: What is differentiated.
        images: Names of the inputs that take the images.

    Raises:
        GradientError: The image's height or width is open, so that sizes in between are not known.
    """
    for name in images:
        if any(shapes.moving[name][1:]):
            raise GradientError(
                "the image's height and width are open, and gradients need to know them",
                "Fix them: python -m onnxruntime.tools.make_dynamic_shape_fixed MODEL.onnx FIXED.onnx --input_name "
                f"{name} --input_shape 1,3,224,224",
            )
    return Stretch(model, shapes, source, result, shapes.inputs[images[0]][0])
