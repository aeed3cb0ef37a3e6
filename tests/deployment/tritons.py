"""``config.pbtxt`` as Triton itself reads it, and what its onnxruntime backend checks when it loads a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime
import tritonclient.grpc.model_config_pb2 as protobuf
from google.protobuf import text_format

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = onnxruntime.SessionOptions()
OPTIONS.log_severity_level = 3
NAMES = {
    "tensor(float)": "TYPE_FP32", "tensor(float16)": "TYPE_FP16", "tensor(int64)": "TYPE_INT64",
    "tensor(bool)": "TYPE_BOOL", "tensor(uint8)": "TYPE_UINT8", "tensor(string)": "TYPE_STRING",
}  # fmt: skip


def read(folder: Path) -> Any:
    """The configuration of a model folder, parsed with NVIDIA's protobuf."""
    return text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), protobuf.ModelConfig())


def loads(folder: Path, version: int = 1) -> Any:
    """Check what Triton checks before it serves the model, and hand its configuration back.

    The rules are those of ``ValidateInputs`` and ``ValidateOutputs`` in its onnxruntime backend.
    """
    config = read(folder)
    assert config.name == folder.name
    assert config.backend == "onnxruntime"
    session = onnxruntime.InferenceSession(folder / str(version) / config.default_model_filename, OPTIONS)
    required = {node.name: node for node in session.get_inputs()}
    optional = {node.name: node for node in session.get_overridable_initializers()}
    assert len([entry for entry in config.input if not entry.optional]) == len(required)
    for entry in config.input:
        assert entry.name in (optional if entry.optional else required)
        assert not (entry.optional and config.max_batch_size)
        _agrees(entry, (required | optional)[entry.name], config.max_batch_size)
    outputs = {node.name: node for node in session.get_outputs()}
    assert [entry.name for entry in config.output] == list(outputs)
    for entry in config.output:
        _agrees(entry, outputs[entry.name], config.max_batch_size)
        assert not entry.label_filename or (folder / entry.label_filename).is_file()
    return config


def _agrees(entry: Any, node: Any, batch: int) -> None:
    assert protobuf.DataType.Name(entry.data_type) == NAMES[node.type]
    assert entry.dims, "the empty shape is not allowed"
    dims = list(entry.reshape.shape) if entry.HasField("reshape") else list(entry.dims)
    if not node.shape:
        assert set(dims) <= {1}
        return
    shape = [side if isinstance(side, int) else -1 for side in node.shape]
    assert [-1, *dims] == shape if batch else dims == shape
