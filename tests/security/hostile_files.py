"""Models that somebody wrote to do harm: small files that name other files, ask for petabytes, or expand without end."""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_networks import Tiny

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PETABYTE = 1 << 50
WEIGHT = "conv1.weight"


def plain() -> onnx.ModelProto:
    return Tiny().build()


def explained() -> onnx.ModelProto:
    return rc.rewrite(plain(), labels=["a", "b", "c", "d", "e"])


def normed() -> onnx.ModelProto:
    """As onnxruntime's optimiser writes it: a LayerNormalization in an opset that has none."""
    model = Tiny(opset=16).build()
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "norm.scale"))
    return before(model, "fc", [helper.make_node("LayerNormalization", ["pooled", "norm.scale"], ["normed"], "norm")])


def outside(model: onnx.ModelProto, location: str, **more: object) -> onnx.ModelProto:
    """The model with one weight in the file ``location``."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == WEIGHT)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def external_files(folder: Path) -> dict[str, str]:
    """Locations that must not be read, by what they are; the files are made around ``folder``."""
    weights = next(tensor for tensor in plain().graph.initializer if tensor.name == WEIGHT).raw_data
    secret = folder.parent / "secret.bin"
    secret.write_bytes(weights)
    (folder / "inside.bin").write_bytes(weights)
    (folder / "below").mkdir()
    (folder / "link.bin").symlink_to(secret)
    (folder / "around").symlink_to("..")
    os.mkfifo(folder / "pipe.bin")
    return {
        "absolute": str(secret),
        "dots": "../secret.bin",
        "dots-inside": "below/../../secret.bin",
        "a-link": "link.bin",
        "a-linked-folder": "around/secret.bin",
        "a-device": "/dev/zero",
        "a-pipe": "pipe.bin",
        "a-folder": "below",
        "nothing": "",
        "a-NUL": "inside.bin\0",
        "memory": "*/_ORT_MEM_ADDR_/*",
    }


def before(model: onnx.ModelProto, name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """The model with ``nodes`` in front of the node ``name``, which reads the last of them in place of its first input."""
    place = [node.name for node in model.graph.node].index(name)
    everything = list(model.graph.node)
    everything[place].input[0] = nodes[-1].output[0]
    everything[place:place] = nodes
    del model.graph.node[:]
    model.graph.node.extend(everything)
    return model


def vast_constant(model: onnx.ModelProto) -> onnx.ModelProto:
    """Four petabytes of zeros, written as three numbers, added to the pooled features."""
    shape = np.array([1 << 20, 1 << 20, 1 << 10], np.int64)
    model.graph.initializer.append(numpy_helper.from_array(shape, "vast.shape"))
    nodes = [
        helper.make_node("ConstantOfShape", ["vast.shape"], ["vast"], "vast"),
        helper.make_node("ReduceSum", ["vast"], ["vast.sum"], "vast_sum", keepdims=0),
        helper.make_node("Add", ["pool.out", "vast.sum"], ["vast.out"], "vast_add"),
    ]
    return before(model, "flatten", nodes)


def vast_initializer(dims: Sequence[int]) -> onnx.ModelProto:
    model = plain()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == WEIGHT)
    del tensor.dims[:]
    tensor.dims.extend(dims)
    return model


def billion_laughs(depth: int, *, recursive: bool = False) -> onnx.ModelProto:
    """Local functions that each call the one below twice: 2 ** ``depth`` nodes once inlined."""
    model = plain()
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("laughs", 1)]
    for level in range(depth):
        below = f"laugh{level - 1}" if level or not recursive else f"laugh{depth - 1}"
        body = [
            helper.make_node(below, ["x"], ["half"], domain="laughs"),
            helper.make_node(below, ["half"], ["y"], domain="laughs"),
        ]
        if not level and not recursive:
            body = [helper.make_node("Relu", ["x"], ["y"])]
        model.functions.append(helper.make_function("laughs", f"laugh{level}", ["x"], ["y"], body, imports))
    model.opset_import.append(imports[1])
    call = helper.make_node(f"laugh{depth - 1}", ["map"], ["laughed"], "laugh", domain="laughs")
    return before(model, "pool", [call])


def nested(depth: int) -> bytes:
    """Subgraphs inside each other, by hand: protobuf's own writer would refuse to go so deep."""

    def field(number: int, content: bytes) -> bytes:
        return _varint(number << 3 | 2) + _varint(len(content)) + content

    graph = b""
    for _ in range(depth):
        attribute = field(1, b"then_branch") + field(6, graph) + _varint(20 << 3) + _varint(5)
        graph = field(1, field(1, b"on") + field(2, b"out") + field(4, b"If") + field(5, attribute))
    return plain().SerializeToString() + field(7, graph)


def grouped(model: onnx.ModelProto) -> bytes:
    """An empty group of a field that ONNX does not have, which protobuf skips, in front of the model."""
    return _varint(1000 << 3 | 3) + _varint(1000 << 3 | 4) + model.SerializeToString()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def custom_operator() -> onnx.ModelProto:
    model = plain()
    model.opset_import.append(helper.make_opsetid("evil", 1))
    return before(model, "flatten", [helper.make_node("Load", ["pool.out"], ["loaded"], "load", domain="evil")])


def told(**entries: str) -> onnx.ModelProto:
    """An explained model with other metadata."""
    model = explained()
    for entry in model.metadata_props:
        entry.value = entries.pop(entry.key.removeprefix("reciprocam."), entry.value)
    for key, value in entries.items():
        model.metadata_props.add(key=f"reciprocam.{key}", value=value)
    return model


def bad_metadata() -> dict[str, dict[str, str]]:
    """Entries that another tool, or somebody, put there."""
    return {
        "deep json": {"labels": "[" * 200_000},
        "labels of things": {"labels": "[1, {}, []]"},
        "labels in one": {"labels": '"abcde"'},
        "no names": {"outputs": "{}"},
        "a list of names": {"outputs": '["scores", "saliency"]'},
        "names of things": {"inputs": '{"image": {}}'},
        "another input": {"inputs": '{"image": "nowhere"}'},
        "another output": {"outputs": json.dumps({"score": "scores", "saliency": "nowhere"})},
        "an endless number": {"grid": "9" * 5000 + ",1"},
        "preprocessing of things": {"preprocessing": "[1]"},
        "preprocessing in words": {"preprocessing": '{"size": "abc"}'},
        "a negative size": {"preprocessing": '{"size": [-5, 3]}'},
    }


def png(height: int, width: int) -> bytes:
    """A picture that declares its size and holds hardly a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    coded = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(coded)
