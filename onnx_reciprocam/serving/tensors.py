"""The Open Inference Protocol's tensors as questions and answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from kserve import InferOutput, InferResponse
from kserve.protocol.infer_type import to_http_parameters
from kserve.utils.numpy_codec import from_np_dtype, to_np_dtype

from onnx_reciprocam.contract import CLASS_IDS_INPUT, SALIENCY, SALIENCY_CLASSES, TOGGLE_INPUT
from onnx_reciprocam.serving.question import Question
from onnx_reciprocam.serving.rejections import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kserve import InferInput, InferRequest
    from numpy.typing import NDArray

    from onnx_reciprocam.runtime import ExplainedSession, Explanation

_DATATYPES = {
    "tensor(float)": "FP32", "tensor(float16)": "FP16", "tensor(double)": "FP64", "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32", "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32", "tensor(uint64)": "UINT64",
    "tensor(bfloat16)": "BF16", "tensor(string)": "BYTES",
}  # fmt: skip

_ROLES = {"predictions": "score", SALIENCY: SALIENCY, SALIENCY_CLASSES: SALIENCY_CLASSES}
"""Names that outputs have in every model, whatever its file calls them."""


def describe(nodes: list[Any]) -> list[dict[str, Any]]:
    """Inputs or outputs of a session as the protocol lists them; -1 is a dynamic side."""
    return [
        {
            "name": node.name,
            "datatype": _DATATYPES.get(node.type, node.type),
            "shape": [side if isinstance(side, int) else -1 for side in node.shape],
        }
        for node in nodes
    ]


def question_of(request: InferRequest, session: ExplainedSession) -> Question:
    """What a request's tensors and parameters ask.

    The switch of a ``--toggle`` file is the parameter ``explain`` or the tensor of that input; without either it is off
    where outputs are named and no saliency is among them.

    Raises:
        BadRequestError: A tensor is missing, or is not what it says it is.
    """
    inputs = session.contract.inputs
    tensors = {tensor.name: _array(tensor) for tensor in request.inputs}
    if inputs["image"] not in tensors:
        raise BadRequestError(f"input {inputs['image']!r} is missing; the request has {', '.join(tensors) or 'none'}.")
    images = tensors.pop(inputs["image"])
    if not images.ndim or not len(images):
        raise BadRequestError(f"input {inputs['image']!r} holds no image; the batch axis is in front.")
    parameters = to_http_parameters(request.parameters or {})
    class_ids = tensors.pop(inputs.get(CLASS_IDS_INPUT, ""), None)
    if class_ids is None and "class_ids" in parameters:
        ids = _class_ids(parameters["class_ids"])
        class_ids = np.broadcast_to(ids, (len(images), len(ids)))
    explain = _explain(request, session, parameters, tensors.pop(inputs.get(TOGGLE_INPUT, ""), None))
    return Question(images, class_ids, explain, tensors)


def response_of(request: InferRequest, found: Explanation, session: ExplainedSession) -> InferResponse:
    """The answer, with the outputs that were named, or all under the file's own names.

    Raises:
        BadRequestError: There is no output of a name.
    """
    outputs = session.contract.outputs
    arrays: dict[str, NDArray[Any]] = {**found.outputs, outputs[SALIENCY]: found.saliency}
    if SALIENCY_CLASSES in outputs:
        arrays[outputs[SALIENCY_CLASSES]] = found.classes
    aliases = {"predictions": found.predictions, SALIENCY: found.saliency, SALIENCY_CLASSES: found.classes}
    names = [output.name for output in request.request_outputs or ()] or list(arrays)
    for name in names:
        if name not in arrays and name not in aliases:
            raise BadRequestError(f"there is no output {name!r}; there are {', '.join([*arrays, *aliases])}.")
    chosen = {name: np.ascontiguousarray(arrays.get(name, aliases.get(name))) for name in names}
    made = [
        InferOutput(name=name, shape=list(array.shape), datatype=from_np_dtype(array.dtype), data=array)
        for name, array in chosen.items()
    ]
    return InferResponse(response_id=request.id or "", model_name=request.model_name, infer_outputs=made)


def _array(tensor: InferInput) -> NDArray[Any]:
    """An input, once its shape is what its data has.

    KServe reshapes without asking, so a side of -1 would be worked out, and a number that does not fit is wrapped.
    """
    shape = tensor.shape
    if to_np_dtype(tensor.datatype) is None or tensor.datatype == "BYTES":
        raise BadRequestError(f"input {tensor.name!r}: this service does not take datatype {tensor.datatype!r}.")
    if not all(isinstance(side, int) and 0 <= side < 2**31 for side in shape) or len(shape) > 8:
        raise BadRequestError(f"input {tensor.name!r}: {shape} is no shape of a tensor.")
    try:
        array: NDArray[Any] = tensor.data if isinstance(tensor.data, np.ndarray) else _decoded(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(f"input {tensor.name!r} does not hold {tensor.datatype} of shape {shape}.") from error
    if array.size != math.prod(shape):
        raise BadRequestError(f"input {tensor.name!r}: {array.size} numbers are not of shape {shape}.")
    return array.reshape(shape)


def _decoded(tensor: InferInput) -> NDArray[Any]:
    """Of a tensor that came by gRPC."""
    return np.asarray(tensor.as_numpy())


def _class_ids(value: object) -> NDArray[np.int64]:
    """Of a parameter, which is a number or a text such as ``3,7``."""
    try:
        return np.array([int(part) for part in str(value).split(",")], np.int64)
    except (ValueError, OverflowError) as error:
        raise BadRequestError(
            f"parameter 'class_ids' is {str(value)[:80]!r}; it takes numbers such as '3,7'."
        ) from error


def _explain(
    request: InferRequest, session: ExplainedSession, parameters: Mapping[str, Any], switch: NDArray[Any] | None
) -> bool:
    if TOGGLE_INPUT not in session.contract.inputs:
        if parameters.get("explain", True) is not True:
            raise BadRequestError("this file always explains; rewrite the original with --toggle to switch it off.")
        return True
    if "explain" in parameters:
        if not isinstance(parameters["explain"], bool):
            raise BadRequestError("parameter 'explain' takes true or false.")
        return parameters["explain"]
    if switch is not None:
        return bool(switch.all())
    wanted = {output.name for output in request.request_outputs or ()}
    outputs = session.contract.outputs
    maps = {SALIENCY, SALIENCY_CLASSES, outputs[SALIENCY], outputs.get(SALIENCY_CLASSES, SALIENCY)}
    return not wanted or bool(wanted & maps)
