"""A model file as the checks see it: its protobuf, the folder of its external data, and the hash of its bytes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx.external_data_helper import load_external_data_for_tensor

from onnx_reciprocam.errors import ModelFileError, runtime_reason
from onnx_reciprocam.external_data import data_file
from onnx_reciprocam.verification.unfused import unfused

if TYPE_CHECKING:
    from collections.abc import Iterator

ModelSource = str | os.PathLike[str] | bytes | onnx.ModelProto

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Model:
    """One model and where it came from.

    Args:
        name: What messages call it.
        proto: The model; external data stays in its files.
        encoded: The bytes it was given as; None for a file, which is read again when needed.
        file: Its path; None for a model that came from memory.
    """

    name: str
    proto: onnx.ModelProto
    encoded: bytes | None = None
    file: Path | None = None

    @classmethod
    def load(cls, source: ModelSource, name: str) -> Model:
        """Read ``source``; ``name`` is what messages call it unless it has a path.

        Raises:
            ModelFileError: It cannot be read, is no ONNX model, or its external data is missing or outside its folder.
        """
        try:
            if isinstance(source, onnx.ModelProto):
                return cls(name, source, source.SerializeToString(deterministic=True))
            if isinstance(source, bytes):
                return cls(name, _decode(source, name), source)
            file, name = Path(source), os.fspath(source)
            proto = _decode(file.read_bytes(), name)
            for location in {_location(tensor) for tensor in tensors(proto) if is_external(tensor)}:
                data_file(file.absolute().parent, location, name)
            return cls(name, proto, None, file)
        except OSError as error:
            raise ModelFileError(name, f"cannot be read ({error.strerror})") from error
        except (EncodeError, ValueError) as error:
            reason = "is over 2 GB in memory: give its path, with external data"
            raise ModelFileError(name, reason) from error

    @property
    def folder(self) -> Path | None:
        """Where its external data lies."""
        return None if self.file is None else self.file.parent

    @cached_property
    def unfused(self) -> onnx.ModelProto:
        """The model with its end in the open, see :func:`~.unfused.unfused`."""
        return unfused(self.proto)

    @property
    def is_half(self) -> bool:
        """Whether it computes in float16 anywhere: what is stored so and cast to float32 at once does not count."""
        kind, nodes = onnx.TensorProto.FLOAT16, self.proto.graph.node
        stored = {tensor.name for tensor in self.proto.graph.initializer if tensor.data_type == kind}
        casts = (entry.i == kind for node in nodes if node.op_type == "Cast" for entry in node.attribute)
        return any(casts) or any(not stored.isdisjoint(node.input) for node in nodes if node.op_type != "Cast")

    @property
    def metadata(self) -> dict[str, str]:
        """Its ``metadata_props``."""
        return {entry.key: entry.value for entry in self.proto.metadata_props}

    def sha256(self) -> str:
        """Hash of the model's bytes, then of every external file it names, in the order of their names."""
        digest = hashlib.sha256(self.encoded or b"")
        external = sorted({_location(tensor) for tensor in tensors(self.proto) if is_external(tensor)})
        files = [] if self.file is None else [self.file, *(self.file.parent / location for location in external)]
        try:
            for file in files:
                with file.open("rb") as stream:
                    while chunk := stream.read(_CHUNK):
                        digest.update(chunk)
        except OSError as error:
            raise ModelFileError(self.name, f"{error.filename} cannot be read ({error.strerror})") from error
        return digest.hexdigest()

    def content(self, message: Any) -> bytes:
        """Fingerprint of a part of this model: external tensors count by what they hold, not by where they lie.

        Raises:
            ModelFileError: An external tensor cannot be read.
        """
        if any(map(is_external, tensors(message))):
            inlined = type(message)()
            inlined.CopyFrom(message)
            for tensor in filter(is_external, tensors(inlined)):
                self._inline(tensor)
            message = inlined
        return hashlib.sha256(message.SerializeToString(deterministic=True)).digest()

    def _inline(self, tensor: onnx.TensorProto) -> None:
        try:
            load_external_data_for_tensor(tensor, os.fspath(self.folder or ""))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            reason = f"the external data of {tensor.name!r} cannot be read ({runtime_reason(error)})"
            raise ModelFileError(self.name, reason) from error
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def tensors(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor in a protobuf message, however deep."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for description, value in message.ListFields():
        if description.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from tensors(part)


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the tensor's numbers lie in another file."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def _location(tensor: onnx.TensorProto) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _decode(encoded: bytes, name: str) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(encoded)
    except DecodeError as error:
        raise ModelFileError(name, "is no ONNX model (it does not parse)") from error
    if not proto.graph.output:
        raise ModelFileError(name, "is no ONNX model (no graph with outputs)")
    return proto
