"""The Open Inference Protocol over REST: JSON, and tensors behind it as bytes.

KServe's own reading turns every number of a tensor into a Python object and back, which takes longer than many networks.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import to_np_dtype

from onnx_reciprocam.serving.rejections import BadRequestError

if TYPE_CHECKING:
    from kserve import InferResponse
    from numpy.typing import NDArray

LENGTH_HEADER = "inference-header-content-length"
"""Of the JSON; what follows are the tensors that it announces with ``binary_data_size``."""


def read_json(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object.

    Raises:
        BadRequestError: It is none.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadRequestError("the body is JSON, but no object.")
    return found


def read_request(body: bytes, json_length: str | None, model: str) -> InferRequest:
    """A request as it came.

    Raises:
        BadRequestError: It does not follow the protocol.
    """
    length = _number(json_length, len(body)) if json_length is not None else len(body)
    said, rest = read_json(body[:length]), memoryview(body)[length:]
    inputs = []
    for entry in _objects(said, "inputs"):
        tensor, used = _read_input(entry, rest)
        inputs.append(tensor)
        rest = rest[used:]
    if len(rest):
        raise BadRequestError(f"{len(rest)} bytes follow the last tensor.")
    wanted = [RequestedOutput(_text(each, "name"), _parameters(each)) for each in _objects(said, "outputs")]
    return InferRequest(
        model_name=model,
        infer_inputs=inputs,
        request_id=_text(said, "id") if said.get("id") is not None else str(uuid.uuid4()),
        parameters=_parameters(said),
        request_outputs=wanted,
    )


def write_response(request: InferRequest, response: InferResponse) -> tuple[bytes, dict[str, str]]:
    """The answer's body and headers; each output as JSON or as bytes, as it was asked for."""
    binary = {each.name: bool((each.parameters or {}).get("binary_data")) for each in request.request_outputs or ()}
    everything = bool((request.parameters or {}).get("binary_data_output"))
    outputs, tail = [], []
    for output in response.outputs:
        entry: dict[str, Any] = {"name": output.name, "shape": output.shape, "datatype": output.datatype}
        if binary.get(output.name, everything):
            tail.append(output.data.tobytes())
            entry["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            entry["data"] = output.data.reshape(-1)
        outputs.append(entry)
    said = {"model_name": response.model_name, "id": response.id, "outputs": outputs}
    head = orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY)
    if not tail:
        return head, {"content-type": "application/json"}
    return b"".join([head, *tail]), {"content-type": "application/octet-stream", LENGTH_HEADER: str(len(head))}


def _read_input(entry: dict[str, Any], rest: memoryview) -> tuple[InferInput, int]:
    """A tensor, and how many bytes of ``rest`` it took."""
    name, datatype, shape = _text(entry, "name"), _text(entry, "datatype"), entry.get("shape")
    if not isinstance(shape, list):
        raise BadRequestError(f"input {name!r}: 'shape' is a list of numbers.")
    if (dtype := to_np_dtype(datatype.upper())) is None or dtype is np.object_:
        raise BadRequestError(f"input {name!r}: this service does not take datatype {datatype[:20]!r}.")
    size = (_parameters(entry) or {}).get("binary_data_size")
    data: NDArray[Any]
    if "data" in entry or size is None:
        data, used = _numbers(entry.get("data"), name), 0
    else:
        used = _number(size, len(rest))
        if used % np.dtype(dtype).itemsize:
            raise BadRequestError(f"input {name!r}: {used} bytes are no whole number of {datatype}.")
        data = np.frombuffer(rest[:used], dtype)
    return InferInput(name=name, shape=shape, datatype=datatype, data=data), used


def _numbers(data: object, name: str) -> NDArray[Any]:
    """A list, flat or nested; texts and nulls would become numbers elsewhere."""
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError) as error:
        raise BadRequestError(f"input {name!r}: 'data' is no list of numbers of one depth.") from error
    if not isinstance(data, list) or array.dtype.kind not in "biuf":
        raise BadRequestError(f"input {name!r}: 'data' is no list of numbers of one depth.")
    return array


def _number(value: object, most: int) -> int:
    """A length of some bytes."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 15 or int(text) > most:
        raise BadRequestError(f"{text[:40]!r} is no number of bytes that are there: {most} are.")
    return int(text)


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise BadRequestError(f"{key!r} is a text, and not there or something else.")
    return value


def _objects(said: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = said.get(key)
    entries = [] if entries is None else entries
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequestError(f"{key!r} is a list of objects.")
    return entries


def _parameters(entry: dict[str, Any]) -> dict[str, Any] | None:
    found = entry.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise BadRequestError("'parameters' is an object.")
    return found
