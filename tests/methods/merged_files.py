"""One file of several rewritten ones, so that a large network is run once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def merged(plain: onnx.ModelProto, parts: Mapping[str, onnx.ModelProto]) -> onnx.ModelProto:
    """One file with what each of several rewritten ones has more than the plain file, under names of its own."""
    whole = onnx.ModelProto()
    whole.CopyFrom(plain)
    for part, model in parts.items():
        new = {name for entries in _named(model) for entry in entries for name in _made(entry)}
        new -= {name for entries in _named(plain) for entry in entries for name in _made(entry)}
        for ours, theirs in zip(_named(whole), _named(model), strict=True):
            ours.extend(_renamed(entry, new, part) for entry in theirs if new.intersection(_made(entry)))
        whole.graph.output.extend(
            onnx.ValueInfoProto(name=f"{part}:{entry.name}") for entry in model.graph.output if entry.name in new
        )
    return whole


def _named(model: onnx.ModelProto) -> tuple[Any, ...]:
    return model.graph.node, model.graph.initializer, model.graph.input


def _made(entry: Any) -> Sequence[str]:
    return entry.output if isinstance(entry, onnx.NodeProto) else [entry.name]


def _renamed(entry: Any, new: set[str], part: str) -> Any:
    copy = type(entry)()
    copy.CopyFrom(entry)
    copy.name = f"{part}:{entry.name}"
    if isinstance(entry, onnx.NodeProto):
        copy.input[:] = [f"{part}:{name}" if name in new else name for name in entry.input]
        copy.output[:] = [f"{part}:{name}" if name in new else name for name in entry.output]
    return copy
