"""The shapes of all tensors, read off a run of the model.

Shape inference gives up on many real files (static padding traced as arithmetic, Paddle's nameless inputs), so the
model itself is asked: it runs with a ``Shape`` node behind every tensor, once as declared and once more for each kind
of length that the declaration leaves open. A length that differs between two runs is dynamic.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort

from onnx_reciprocam.errors import ProbeError, runtime_reason
from onnx_reciprocam.graph.model import FOLDER_KEY
from onnx_reciprocam.graph.sizes import check_sizes
from onnx_reciprocam.graph.thinned import thinned
from onnx_reciprocam.refusals import NoTensorError, UnknownOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onnx_reciprocam.graph.model import Model

Shape = tuple[int, ...]
BATCH = 5
"""Fed where the batch is open: a length that networks rarely have, so that it is not mistaken for another."""
UNKNOWN = re.compile("is not a registered function/op|No Op registered for|No opset import")
"""What onnxruntime says of an operator that it does not know."""
LARGE = 256
"""Numbers above which a constant is a weight, not a shape."""
ZEROS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT8})
"""Types that large weights have."""
_TENSOR_TYPES = {
    f"tensor({spelled})": getattr(onnx.TensorProto, name)
    for name, spelled in (("FLOAT", "float"), ("DOUBLE", "double"), ("FLOAT16", "float16"), ("BFLOAT16", "bfloat16"))
} | {
    f"tensor({name.lower()})": getattr(onnx.TensorProto, name)
    for name in ("BOOL", "INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64")
}
"""Element types by the runtime's names of them."""
FALLBACK_SIZES = ((224, 224), (256, 256), (299, 299), (384, 384), (48, 192), (512, 512), (64, 64), (32, 32))
"""Height and width tried where the file declares none."""


@dataclass(frozen=True)
class Shapes:
    """Shapes by tensor name.

    Args:
        seen: What the first run had.
        moving: Per axis, whether another run had something else there.
        types: Element types (``onnx.TensorProto`` numbers), where inference knows them.
        inputs: The shapes that the first run fed.
    """

    seen: Mapping[str, Shape]
    moving: Mapping[str, tuple[bool, ...]]
    types: Mapping[str, int]
    inputs: Mapping[str, Shape]

    def static(self, name: str) -> tuple[int | None, ...]:
        """The shape with None for every dynamic length."""
        moving = self.moving[name]
        return tuple(None if moves else size for size, moves in zip(self.seen[name], moving, strict=True))


@dataclass(frozen=True)
class InputSpec:
    """A declared input: its lengths (None where open) and their names, its type, the axes that look like height and width."""

    name: str
    shape: tuple[int | None, ...]
    elem_type: int
    symbols: tuple[str, ...] = ()

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes of height and width of an image batch; NHWC if only the last axis can be channels."""
        if len(self.shape) != 4:
            return ()
        channels_last = self.shape[1] not in {1, 3, 4} and self.shape[3] in {1, 3, 4}
        return (1, 2) if channels_last else (2, 3)

    def runs_over_images(self, axis: int, batch: str) -> bool:
        """Whether an open axis does: the first, and any that is named as the batch is (a recurrent state's second)."""
        return axis == 0 or bool(batch and self.symbols and self.symbols[axis] == batch)

    def filled(self, batch: int, height: int, width: int, symbol: str = "") -> Shape:
        """A concrete shape: what is declared, so many images, of this size, 3 channels; ``symbol`` names the batch."""
        sizes = dict(zip(self.spatial, (height, width), strict=False))
        axes = range(len(self.shape))
        open_sizes = [batch if self.runs_over_images(axis, symbol) else sizes.get(axis, 3) for axis in axes]
        return tuple(wanted if size is None else size for size, wanted in zip(self.shape, open_sizes, strict=True))


def input_specs(model: Model) -> list[InputSpec]:
    """The inputs that a caller must feed (no initializer stands behind them)."""
    initializers = {tensor.name for tensor in model.proto.graph.initializer}
    specs = []
    for entry in model.proto.graph.input:
        if entry.name in initializers:
            continue
        if not entry.type.HasField("tensor_type"):
            raise NoTensorError(
                f"input {entry.name!r} is no tensor but a {entry.type.WhichOneof('value')}",
                "Export it with tensors only.",
            )
        dims = entry.type.tensor_type.shape.dim
        shape = tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)
        symbols = tuple(dim.dim_param for dim in dims)
        specs.append(InputSpec(entry.name, shape, entry.type.tensor_type.elem_type, symbols))
    return specs


def _batch_symbol(specs: list[InputSpec]) -> str:
    """How the pictures' batch is named, or nothing."""
    first = next((spec for spec in specs if spec.spatial), None)
    return first.symbols[0] if first is not None else ""


def probe(model: Model, size: tuple[int, int] | None = None) -> Shapes:
    """Run the model and read every shape.

    Args:
        model: Any model that onnxruntime's CPU provider takes.
        size: Height and width to feed where the file declares none.

    Raises:
        ProbeError: No run succeeded.
    """
    light = weightless(model.view)
    check_sizes(light)
    types = _types(light)
    types |= _runtime_types(light, model, types)
    names, gone, session = _shape_session(light, model, types)
    specs = input_specs(model)
    shapes, first = _first_run(session, specs, size)
    seen = dict(zip(names, (tuple(shape.tolist()) for shape in first), strict=True)) | gone | shapes
    moving = {name: [False] * len(shape) for name, shape in seen.items()}
    for variation in _variations(specs, shapes):
        run, _ = _try(session, specs, variation)
        if run is None:  # the length is fixed inside the model, whatever its inputs declare
            continue
        for name, shape in (*zip(names, run, strict=True), *variation.items()):
            moving[name] = [a or b != c for a, b, c in zip(moving[name], seen[name], shape, strict=True)]
    return Shapes(seen, {name: tuple(axes) for name, axes in moving.items()}, types, shapes)


def _types(light: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(light).graph
    entries = (*inferred.input, *inferred.value_info, *inferred.output)
    types = {entry.name: entry.type.tensor_type.elem_type for entry in entries if entry.type.HasField("tensor_type")}
    others = {entry.name: 0 for entry in entries if not entry.type.HasField("tensor_type")}
    return types | others | {tensor.name: tensor.data_type for tensor in inferred.initializer}


def _runtime_types(light: onnx.ModelProto, model: Model, known: Mapping[str, int]) -> dict[str, int]:
    """Of tensors that onnx's inference does not know, because the runtime's own operators make them."""
    names = [name for node in light.graph.node for name in node.output if name and name not in known]
    if not names:
        return {}
    asking = onnx.ModelProto()
    asking.CopyFrom(light)
    del asking.graph.output[:]
    asking.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    kinds = {output.name: output.type for output in quiet_session(asking.SerializeToString(), model).get_outputs()}
    return {name: _TENSOR_TYPES[kind] for name, kind in kinds.items() if kind in _TENSOR_TYPES}


def weightless(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with zeros made at run time for its large weights: same shapes, a few kilobytes."""
    light = onnx.ModelProto(ir_version=max(proto.ir_version, 4))
    light.opset_import.extend(proto.opset_import)
    light.functions.extend(proto.functions)
    graph, large = proto.graph, set()
    for tensor in graph.initializer:
        if math.prod(tensor.dims) <= LARGE or tensor.data_type not in ZEROS:
            light.graph.initializer.append(tensor)
            continue
        large.add(tensor.name)
        shape = onnx.helper.make_tensor(f"{tensor.name}/shape", onnx.TensorProto.INT64, [len(tensor.dims)], tensor.dims)
        light.graph.initializer.append(shape)
        zero = onnx.helper.make_tensor("zero", tensor.data_type, [1], [0])
        light.graph.node.append(onnx.helper.make_node("ConstantOfShape", [shape.name], [tensor.name], value=zero))
    light.graph.name = graph.name
    light.graph.node.extend(graph.node)
    light.graph.sparse_initializer.extend(graph.sparse_initializer)
    light.graph.input.extend(entry for entry in graph.input if entry.name not in large)
    light.graph.output.extend(graph.output)
    return light


def _shape_session(
    light: onnx.ModelProto, model: Model, types: Mapping[str, int]
) -> tuple[list[str], dict[str, Shape], ort.InferenceSession]:
    """Tensors whose shapes a session tells, that session, and the shapes of those that it has not."""
    graph = light.graph
    made = [name for node in graph.node for name in node.output if name and types.get(name) != 0]
    del graph.output[:]
    gone = thinned(light)
    names = [name for name in dict.fromkeys(made) if name not in gone]
    for i, name in enumerate(names):
        graph.node.append(onnx.helper.make_node("Shape", [name], [f"reciprocam/probe_{i}"]))
        graph.output.append(onnx.helper.make_tensor_value_info(f"reciprocam/probe_{i}", onnx.TensorProto.INT64, None))
    return names, gone, quiet_session(light.SerializeToString(), model)


def quiet_session(data: bytes, model: Model) -> ort.InferenceSession:
    """A session on two threads without graph optimisations, silent, that finds the model's external data.

    Raises:
        ProbeError: onnxruntime does not take the model.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    if model.folder is not None:
        options.add_session_config_entry(FOLDER_KEY, str(model.folder))
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common base
        reason = runtime_reason(error)
        raise (UnknownOperatorError if UNKNOWN.search(reason) else ProbeError)(reason) from None


def _first_run(
    session: ort.InferenceSession, specs: list[InputSpec], size: tuple[int, int] | None
) -> tuple[dict[str, Shape], list[np.ndarray]]:
    problem: Exception | None = None
    for shapes in _attempts(specs, size):
        run, problem = _try(session, specs, shapes)
        if run is not None:
            return shapes, run
    raise ProbeError(runtime_reason(problem) if problem else "it has no inputs")


def _try(
    session: ort.InferenceSession, specs: list[InputSpec], shapes: Mapping[str, Shape]
) -> tuple[list[np.ndarray] | None, Exception | None]:
    """The shapes of one run, or why it failed."""
    try:
        return session.run(None, _feed(specs, shapes)), None
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common base
        return None, error


def _attempts(specs: list[InputSpec], size: tuple[int, int] | None) -> Iterator[dict[str, Shape]]:
    seen = []
    for height, width in [size] if size else FALLBACK_SIZES:
        for batch in (BATCH, 1):
            shapes = {spec.name: spec.filled(batch, height, width, _batch_symbol(specs)) for spec in specs}
            if shapes not in seen:
                seen.append(shapes)
                yield shapes


def _variations(specs: list[InputSpec], first: dict[str, Shape]) -> Iterator[dict[str, Shape]]:
    """The first shapes with another batch, then with another height and width, where these are open."""
    batch = next((first[spec.name][0] for spec in specs if spec.shape and spec.shape[0] is None), None)
    image = next((spec for spec in specs if any(spec.shape[axis] is None for axis in spec.spatial)), None)
    if batch is not None:
        yield {spec.name: _grown(spec, first[spec.name], _one_more(spec, _batch_symbol(specs))) for spec in specs}
    if image is not None:
        steps = dict(zip(image.spatial, (64, 96), strict=True))
        yield {spec.name: _grown(spec, first[spec.name], steps if spec.spatial else {}) for spec in specs}


def _one_more(spec: InputSpec, symbol: str) -> dict[int, int]:
    """One image more along every axis that runs over images."""
    return {axis: 1 for axis in range(len(spec.shape)) if spec.runs_over_images(axis, symbol)}


def _grown(spec: InputSpec, shape: Shape, steps: Mapping[int, int]) -> Shape:
    return tuple(size + steps.get(i, 0) * (spec.shape[i] is None) for i, size in enumerate(shape))


def _feed(specs: list[InputSpec], shapes: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    return {
        spec.name: np.zeros(shapes[spec.name], onnx.helper.tensor_dtype_to_np_dtype(spec.elem_type)) for spec in specs
    }
