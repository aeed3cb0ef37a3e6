"""An ONNX file as a graph to read, and the one way nodes are added to it.

The original ``ModelProto`` is never taken apart: onnx-graphsurgeon is a *view* for reading it, and a rewrite only
appends. So what graphsurgeon forgets on export (metadata, local functions, node metadata, quantisation annotations)
cannot be lost.
"""

from __future__ import annotations

import copy
import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError, EncodeError

from onnx_reciprocam.errors import ModelFileError, NodeNotFoundError
from onnx_reciprocam.graph.checked import check, external, location
from onnx_reciprocam.graph.dequantised import STORED, stored
from onnx_reciprocam.graph.view import inlined
from onnx_reciprocam.refusals import OldOpsetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ModelSource = str | os.PathLike[str] | bytes | onnx.ModelProto
MIN_OPSET = 9
FOLDER_KEY = "session.model_external_initializers_file_folder_path"
"""onnxruntime's option that tells a model loaded from bytes where its external data is."""


class Model:
    """A checked model, its graph, and its constants.

    Args:
        proto: The model; external data may stay on disk.
        name: What errors call it.
        folder: Where external data lies, or None.
        sha256: Of the file's bytes, then of the bytes of its external data files in the order of their names.
        view: The same network as it is to be read (:mod:`~.view`); with its local functions inlined if None.
    """

    def __init__(
        self, proto: onnx.ModelProto, name: str, folder: Path | None, sha256: str, view: onnx.ModelProto | None = None
    ) -> None:
        self.proto, self.name, self.folder, self.sha256 = proto, name, folder, sha256
        self._view = view
        opsets = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
        self.opset = opsets.get("ai.onnx", 0)
        if self.opset < MIN_OPSET:
            raise OldOpsetError(
                f"{name} is written in opset {self.opset}, older than {MIN_OPSET}",
                "Convert it: onnx.version_converter.convert_version(model, 17)",
            )

    def viewed(self, view: onnx.ModelProto) -> Model:
        """The same file, read as ``view``."""
        return Model(self.proto, self.name, self.folder, self.sha256, view)

    @cached_property
    def view(self) -> onnx.ModelProto:
        """The network as it is read; :attr:`proto` is what is written."""
        return inlined(self.proto) if self._view is None else self._view

    @cached_property
    def graph(self) -> gs.Graph:
        """The view as graphsurgeon reads it. Read only."""
        return gs.import_onnx(self.view)

    @cached_property
    def tensors(self) -> dict[str, gs.Tensor]:
        """Every tensor of the view's main graph by name."""
        tensors: dict[str, gs.Tensor] = {tensor.name: tensor for tensor in self.graph.inputs}
        for node in self.graph.nodes:
            tensors.update((tensor.name, tensor) for tensor in (*node.inputs, *node.outputs) if tensor.name)
        return tensors

    def find(self, name: str) -> gs.Tensor:
        """The tensor that a node's or a tensor's name means; of a node, its first output.

        Raises:
            NodeNotFoundError: Neither has this name.
        """
        for node in self.proto.graph.node:
            if node.name == name:
                return self.tensors[next(filter(None, node.output))]
        tensors = set(filter(self.is_written, self.tensors))
        if name in tensors:
            return self.tensors[name]
        raise NodeNotFoundError(name, sorted({*tensors, *(node.name for node in self.proto.graph.node)} - {""}))

    @cached_property
    def _written_names(self) -> set[str]:
        graph = self.proto.graph
        sparse = (tensor.values for tensor in graph.sparse_initializer)
        made = {name for node in graph.node for name in node.output}
        return made.union(entry.name for entry in (*graph.input, *graph.initializer, *sparse))

    def is_written(self, name: str) -> bool:
        """Whether the file itself has a tensor of this name, not only the view."""
        return self.view is self.proto or name in self._written_names

    def unwritten(self, tensor: gs.Tensor) -> list[gs.Node]:
        """The nodes that make a tensor that is not in the file of tensors that are, in the view's order."""
        wanted, nodes = {tensor.name}, []
        for node in [] if self.is_written(tensor.name) else reversed(self.graph.nodes):
            if any(output.name in wanted and not self.is_written(output.name) for output in node.outputs):
                nodes.append(node)
                wanted.update(source.name for source in node.inputs)
        return nodes[::-1]

    @cached_property
    def _initializers(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.proto.graph.initializer}

    def constant(self, tensor: gs.Tensor) -> NDArray[np.generic] | None:
        """The value of a tensor that no input changes: an initializer, a Constant node, or either stored in a smaller type."""
        if (proto := self._initializers.get(tensor.name)) is not None:
            overridable = any(tensor.name == entry.name for entry in self.proto.graph.input)
            return None if overridable and self.proto.ir_version > 3 else self._array(proto)
        if not tensor.inputs:
            return None
        node = tensor.inputs[0]
        if node.op in STORED:
            return stored(node, self.constant)
        if node.op != "Constant" or not node.attrs:
            return None
        kind, value = next(iter(node.attrs.items()))
        if kind == "value":
            return np.asarray(value.values if isinstance(value, gs.Tensor) else value)
        dtype = np.float32 if "float" in kind else np.int64
        return np.asarray(value, dtype) if kind in {"value_float", "value_floats", "value_int", "value_ints"} else None

    def _array(self, proto: onnx.TensorProto) -> NDArray[np.generic]:
        return onnx.numpy_helper.to_array(proto, str(self.folder or ""))

    @cached_property
    def written(self) -> dict[str, onnx.NodeProto]:
        """The node of the view that makes a tensor, by the tensor's name."""
        return {name: node for node in self.view.graph.node for name in node.output if name}

    def names(self) -> Iterator[str]:
        """Every name that a new node or tensor could clash with, subgraphs included."""
        yield from _names(self.proto.graph)
        if self.view is not self.proto:
            yield from _names(self.view.graph)

    def appended(self, branch: onnx.GraphProto, metadata: dict[str, str]) -> onnx.ModelProto:
        """A copy with the branch's nodes, initializers, inputs and outputs after the model's own, and the metadata."""
        model = copy.deepcopy(self.proto)
        graph = model.graph
        if model.ir_version > 3:
            graph.initializer.extend(branch.initializer)
        else:
            inputs = {entry.name for entry in branch.input}
            graph.initializer.extend(tensor for tensor in branch.initializer if tensor.name in inputs)
            constants = [tensor for tensor in branch.initializer if tensor.name not in inputs]
            graph.node.extend(onnx.helper.make_node("Constant", [], [t.name], t.name, value=t) for t in constants)
        graph.node.extend(branch.node)
        graph.input.extend(branch.input)
        graph.output.extend(branch.output)
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=value)
        return model


def load(source: ModelSource) -> Model:
    """Read and check a model.

    Raises:
        ModelFileError: It is missing, unreadable, no ONNX, or fails onnx's checker.
        UnsupportedModelError: Its opset is too old, or external files hold more than initializers.
    """
    if isinstance(source, onnx.ModelProto):
        name, folder, data = "the model", None, None
        proto = source
    elif isinstance(source, bytes):
        name, folder, data = "the model", None, source
        proto = _parse(source, name)
    else:
        path = Path(source)
        name, folder = str(path), path.absolute().parent
        data = _read(path)
        proto = _parse(data, name)
    check(proto, None if folder is None else Path(name), name)
    if data is None:
        data = _serialised(proto)
    return Model(proto, name, folder, _digest(data, proto, folder))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(str(path), "no such file.") from None
    except IsADirectoryError:
        raise ModelFileError(str(path), "is a folder; name the .onnx file in it.") from None
    except OSError as error:
        raise ModelFileError(str(path), f"cannot be read ({error.strerror}).") from None


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(data)
    except (DecodeError, ValueError):
        raise ModelFileError(name, "is no ONNX file, or a damaged one: export or copy it again.") from None
    if not proto.ir_version or not proto.graph.node:
        raise ModelFileError(name, "is no ONNX file: it holds no graph.")
    return proto


def _serialised(proto: onnx.ModelProto) -> bytes:
    try:
        return bytes(proto.SerializeToString(deterministic=True))
    except (EncodeError, ValueError):
        raise ModelFileError(
            "the model", "is over 2 GB in memory: save it with external data and pass the path instead."
        ) from None


def _digest(data: bytes, proto: onnx.ModelProto, folder: Path | None) -> str:
    digest = hashlib.sha256(data)
    for file in sorted({location(tensor) for tensor in external(proto)}):
        with ((folder or Path()) / file).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield entry.name
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _names(subgraph)
