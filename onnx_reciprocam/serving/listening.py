"""Sockets to listen on, and ports that several processes share."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx_reciprocam.serving.settings import Settings


def bound(host: str, port: int, option: str, *, shared: bool = False) -> socket.socket:
    """A socket that is ready to listen.

    Args:
        host: Address or name.
        port: 0 for any that is free.
        option: What the port is called on the command line.
        shared: Beside other sockets of the same port that are so too, which :func:`reserved_ports` has to allow; Linux.

    Raises:
        OptionError: The address is not this machine's, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
    except OSError as error:
        raise OptionError("--host", host, ("an address or name of this machine",)) from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise OptionError(option, str(port), (f"one that is free on {host}: {reason}",)) from error
    listener.setblocking(False)
    return listener


def _reserved(host: str, port: int, option: str) -> socket.socket:
    """A port for the workers of this service alone, as long as the socket is open; Linux.

    It is taken as by one who shares with nobody, so that a port in use is refused, and so is whoever comes later. Then it
    is opened to those who ask to share, which workers do and another service, that begins here, does not.

    Raises:
        OptionError: As :func:`bound`.
    """
    kept = bound(host, port, option)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return kept


@contextlib.contextmanager
def reserved_ports(settings: Settings) -> Iterator[Settings]:
    """The settings, their ports being known and taken for the workers.

    Raises:
        OptionError: As :func:`bound`.
    """
    with contextlib.ExitStack() as stack:
        rest = stack.enter_context(contextlib.closing(_reserved(settings.host, settings.port, "--port")))
        known = replace(settings, port=rest.getsockname()[1])
        if settings.grpc_port is not None:
            remote = _reserved(settings.host, settings.grpc_port, "--grpc-port")
            known = replace(known, grpc_port=stack.enter_context(contextlib.closing(remote)).getsockname()[1])
        yield known
