"""How large the tensors of a model are, as far as the file itself tells: asked before the model is run."""

from __future__ import annotations

import math

import onnx

from onnx_reciprocam.errors import ProbeError

MAX_BYTES = 1 << 34
"""Of a tensor. Classifiers of pictures hold megabytes; a few bytes of a file can ask for petabytes."""


def check_sizes(light: onnx.ModelProto) -> None:
    """Refuse a tensor that no picture needs, so that the run which reads the shapes does not fill the memory.

    Args:
        light: The model without its weights.

    Raises:
        ProbeError: The declared or inferred length of one makes it larger than :data:`MAX_BYTES`.
    """
    try:
        graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    except onnx.shape_inference.InferenceError:  # the run will tell
        return
    for entry in (*graph.input, *graph.value_info, *graph.output):
        kind = entry.type.tensor_type
        if kind.elem_type and kind.elem_type != onnx.TensorProto.STRING:
            size = math.prod(max(dim.dim_value, 1) for dim in kind.shape.dim)
            size *= onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize
            if size > MAX_BYTES:
                raise ProbeError(
                    f"{entry.name!r} would take {size / 1e9:,.0f} GB; {MAX_BYTES / 1e9:,.0f} GB is the most that is tried"
                )
