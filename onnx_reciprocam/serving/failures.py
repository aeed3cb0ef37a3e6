"""What was raised, as an answer of HTTP or gRPC: one line of why, and no traceback to anybody but the log."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import orjson
from kserve import errors as kserve_errors
from starlette.exceptions import HTTPException

from onnx_reciprocam.errors import ReciprocamError
from onnx_reciprocam.serving.rejections import RejectionError

_KSERVE = {
    kserve_errors.InvalidInput: (HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT"),
    kserve_errors.ModelNotFound: (HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    kserve_errors.ModelNotReady: (HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    kserve_errors.ServerNotReady: (HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE"),
    NotImplementedError: (HTTPStatus.NOT_IMPLEMENTED, "UNIMPLEMENTED"),
}


class Failure(NamedTuple):
    """An answer that is no result.

    ``is_ours``: nobody raised it on purpose, so it is a fault of the service and belongs in the log.
    """

    status: int
    grpc_status: str
    reason: str
    headers: dict[str, str]
    is_ours: bool = False

    @property
    def body(self) -> bytes:
        """As KServe words its own."""
        return orjson.dumps({"error": self.reason})


def failure_of(error: BaseException) -> Failure:
    """How an exception is answered."""
    headers = {"content-type": "application/json"}
    if isinstance(error, RejectionError):
        return Failure(error.status, error.grpc_status, str(error), headers | error.headers)
    if isinstance(error, ReciprocamError):
        return Failure(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT", str(error), headers)
    if isinstance(error, HTTPException):
        return Failure(error.status_code, "UNKNOWN", str(error.detail), headers | dict(error.headers or {}))
    for kind, (status, grpc_status) in _KSERVE.items():
        if isinstance(error, kind):
            return Failure(status, grpc_status, str(error), headers)
    reason = "the service failed; its log says why."
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL", reason, headers, is_ours=True)
