"""Why a request gets no result, as HTTP and gRPC say it."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from onnx_reciprocam.errors import ReciprocamError


class RejectionError(ReciprocamError):
    """A request that is not answered with a result: one line for the client, a status of HTTP and one of gRPC.

    Args:
        reason: What the client did, or what it may do about it.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    grpc_status: ClassVar[str] = "INTERNAL"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadRequestError(RejectionError):
    """The request does not say what it should."""

    status = HTTPStatus.BAD_REQUEST
    grpc_status = "INVALID_ARGUMENT"


class UnauthorizedError(RejectionError):
    """The service has keys and the request has none of them."""

    status = HTTPStatus.UNAUTHORIZED
    grpc_status = "UNAUTHENTICATED"
    headers: ClassVar[dict[str, str]] = {"www-authenticate": "Bearer"}


class UnknownModelError(RejectionError):
    """No model has that name."""

    status = HTTPStatus.NOT_FOUND
    grpc_status = "NOT_FOUND"


class SlowClientError(RejectionError):
    """The request did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    grpc_status = "CANCELLED"


class TooLargeError(RejectionError):
    """The body is above the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    grpc_status = "RESOURCE_EXHAUSTED"


class UnsupportedMediaError(RejectionError):
    """The body is encoded in a way that the service does not read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    grpc_status = "UNIMPLEMENTED"


class OverloadedError(RejectionError):
    """Every place of the queue is taken."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    grpc_status = "UNAVAILABLE"
    headers: ClassVar[dict[str, str]] = {"retry-after": "1"}


class LateError(RejectionError):
    """The answer was not there in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    grpc_status = "DEADLINE_EXCEEDED"
