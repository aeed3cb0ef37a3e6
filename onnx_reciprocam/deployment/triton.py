"""What Triton Inference Server must know of a file: its ``config.pbtxt``, as NVIDIA's ModelConfig protobuf in text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.contract import KEY_PREFIX, TOGGLE_INPUT
from onnx_reciprocam.errors import OptionError, UnsupportedModelError
from onnx_reciprocam.runtime.model_input import ModelInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import onnxruntime

    from onnx_reciprocam.contract import Contract

MAX_BATCH = 16
"""Where the file's batch is open and nobody says."""
LABELS = "labels.txt"
DEVICES = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}
TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}
"""Triton's names of the types that its onnxruntime backend passes on, by onnxruntime's names."""
TOLD = ("version", "method", "classes", "normalize", "activation", "grid", "inputs", "outputs", "preprocessing")
"""Metadata that clients, who do not have the file, find among the model's parameters."""


@dataclass(frozen=True)
class Serving:
    """How Triton runs a model.

    Args:
        max_batch: Images that it may put into one run; 0 for requests as they come. None: 16 where the file takes any
            batch and has no switch, else 0.
        queue_delay: Microseconds that a request may wait for others.
        preferred: Batches that are run at once when they are full; for engines that are built for certain sizes.
        device: ``auto``, ``cpu`` or ``gpu``.
        instances: Copies of the model, on each GPU.
        versions: How many of the newest versions are served.
    """

    max_batch: int | None = None
    queue_delay: int = 100
    preferred: tuple[int, ...] = ()
    device: str = "auto"
    instances: int = 1
    versions: int = 1

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise OptionError("device", self.device, tuple(DEVICES))


@dataclass(frozen=True)
class _Tensor:
    """An input or output as ``config.pbtxt`` lists it."""

    name: str
    type: str
    dims: tuple[int, ...]
    more: tuple[str, ...] = ()

    def text(self) -> str:
        dims = ", ".join(map(str, self.dims))
        parts = (f"name: {_quoted(self.name)}", f"data_type: {self.type}", f"dims: [ {dims} ]", *self.more)
        return "{ " + ", ".join(parts) + " }"


def triton_config(session: onnxruntime.InferenceSession, contract: Contract, name: str, serving: Serving) -> str:
    """The text of ``config.pbtxt``.

    Triton batches along the first axis of *every* tensor, so the switch of a ``--toggle`` file, one bool for the whole
    run, and batching exclude each other: without batching it is an optional input, with batching maps are always made.

    Args:
        session: The file, loaded.
        contract: What it says of itself.
        name: Of the model, and of its folder.
        serving: How to run it.

    Raises:
        OptionError: Batching is asked of a file whose batch is fixed, or a preferred batch is above the largest.
        UnsupportedModelError: A tensor has a type that Triton cannot pass on.
    """
    inputs, outputs = _tensors("input", session.get_inputs()), _tensors("output", session.get_outputs())
    switch = contract.inputs.get(TOGGLE_INPUT)
    batch = _batch(serving, [*inputs, *outputs], switch=switch is not None)
    taken = [_described(tensor, batch) for tensor in inputs]
    if switch is not None and not batch:
        taken.append(_Tensor(switch, TYPES["tensor(bool)"], (1,), ("optional: true",)))
    labelled = (contract.outputs["score"],) if contract.labels else ()
    given = [_described(tensor, batch, labelled) for tensor in outputs]
    return "\n".join(
        (
            f"name: {_quoted(name)}",
            'backend: "onnxruntime"',
            'default_model_filename: "model.onnx"',
            f"max_batch_size: {batch}",
            *_listed("input", taken),
            *_listed("output", given),
            *_batching(serving, batch),
            f"instance_group [ {{ count: {serving.instances}, kind: {DEVICES[serving.device]} }} ]",
            f"version_policy: {{ latest: {{ num_versions: {serving.versions} }} }}",
            *_parameters(contract),
            "",
        )
    )


def _tensors(role: str, nodes: Sequence[Any]) -> list[ModelInput]:
    for node in nodes:
        if node.type not in TYPES:
            raise UnsupportedModelError(
                f"{role} {node.name!r} is {node.type}, which Triton's onnxruntime backend does not pass on",
                "Export the model with float32 or float16 there",
            )
    return [ModelInput.of(node) for node in nodes]


def _batch(serving: Serving, tensors: Sequence[ModelInput], *, switch: bool) -> int:
    """``max_batch_size``: 0 tells Triton that it may not batch."""
    fixed = next((tensor for tensor in tensors if not tensor.shape or tensor.shape[0] is not None), None)
    if fixed is None and serving.max_batch is None:
        batch = 0 if switch else MAX_BATCH
    elif fixed is None or not serving.max_batch:
        batch = serving.max_batch or 0
    else:
        raise OptionError("--max-batch", str(serving.max_batch), (f"0, as the first axis of {fixed.name!r} is fixed",))
    if serving.preferred and not all(0 < size <= batch for size in serving.preferred):
        raise OptionError("--preferred-batch", ",".join(map(str, serving.preferred)), (f"sizes up to {batch}",))
    return batch


def _described(tensor: ModelInput, batch: int, labelled: Sequence[str] = ()) -> _Tensor:
    """Without the batch axis where Triton adds it; a scalar is written as one number."""
    dims = tuple(-1 if side is None else side for side in tensor.shape)[bool(batch) :]
    more = (f"label_filename: {_quoted(LABELS)}",) if tensor.name in labelled else ()
    if not dims and batch:
        return _Tensor(tensor.name, TYPES[tensor.type], (1,), ("reshape: { shape: [ ] }", *more))
    return _Tensor(tensor.name, TYPES[tensor.type], dims or (1,), more)


def _listed(kind: str, tensors: Sequence[_Tensor]) -> Iterator[str]:
    yield f"{kind} ["
    yield ",\n".join(f"  {tensor.text()}" for tensor in tensors)
    yield "]"


def _batching(serving: Serving, batch: int) -> Iterator[str]:
    if batch < 2:
        return
    preferred = f"preferred_batch_size: [ {', '.join(map(str, serving.preferred))} ], " if serving.preferred else ""
    yield f"dynamic_batching {{ {preferred}max_queue_delay_microseconds: {serving.queue_delay} }}"


def _parameters(contract: Contract) -> Iterator[str]:
    entries = contract.to_metadata()
    for key in (KEY_PREFIX + word for word in TOLD):
        if key in entries:
            yield f"parameters {{ key: {_quoted(key)}, value: {{ string_value: {_quoted(entries[key])} }} }}"


def label_lines(contract: Contract) -> str:
    """One label per line, as Triton reads them."""
    return "".join(" ".join(label.split()) + "\n" for label in contract.labels)


def _quoted(text: str) -> str:
    """A string of protobuf's text format, control characters as octal numbers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(f"\\{ord(c):03o}" if ord(c) < 32 else c for c in escaped) + '"'
