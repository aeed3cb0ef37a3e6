"""What a service takes before it says no."""

from __future__ import annotations

import ipaddress
import math
import sys
from dataclasses import dataclass, field, fields

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.runtime.cores import core_count

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Settings:
    """Where a service listens, and its limits. Every one is an option of ``onnx-reciprocam serve`` of the same name.

    Args:
        host: Address to listen on; nothing but this machine reaches the default.
        port: Of REST; 0 for any that is free.
        grpc_port: Of gRPC; 0 for any that is free, None for no gRPC.
        workers: Processes that share the ports; each has all the limits below to itself.
        threads: Within an operator of onnxruntime, in each worker; 0 for one per core, over all workers.
        max_batch: Images in one run of a model.
        max_delay_ms: Milliseconds that an idle model waits for a second request.
        max_queue: Requests that are worked on or wait, over all models.
        max_body: Bytes of a request; so many for each place of the queue are held at most.
        max_pixels: Pixels of all pictures of a request, as their headers declare them.
        max_connections: Open at once.
        timeout: Seconds from a request's last byte until its answer is given up.
        client_timeout: Seconds that a client may take to send a request, and to take its answer.
        grace: Seconds that requests get to finish once the service is told to stop.
        keys: Any of them opens the service; none for a service open to everybody who reaches it.

    Raises:
        OptionError: A number is out of its range.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = 8081
    workers: int = 1
    threads: int = 0
    max_batch: int = 8
    max_delay_ms: float = 2.0
    max_queue: int = 64
    max_body: int = 16 * MEGABYTE
    max_pixels: int = 32_000_000
    max_connections: int = 4096
    timeout: float = 30.0
    client_timeout: float = 20.0
    grace: float = 30.0
    keys: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, (int, float)) and not _least(each.name) <= value < math.inf:
                raise OptionError(_option(each.name), str(value), (f"{_least(each.name):g} or more",))
        for name in ("port", "grpc_port"):
            if (getattr(self, name) or 0) > 65_535:
                raise OptionError(_option(name), str(getattr(self, name)), ("at most 65535",))
        if self.grpc_port and self.grpc_port == self.port:
            raise OptionError("--grpc-port", str(self.grpc_port), (f"a port other than --port {self.port}",))
        if self.workers > 1 and sys.platform != "linux":  # others share a port, but not fairly
            raise OptionError("--workers", str(self.workers), ("1 where the system is not Linux",))

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine reaches the service."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def cores(self) -> int:
        """Threads to give onnxruntime in a worker."""
        return self.threads or max(1, core_count() // self.workers)


def _least(name: str) -> float:
    """The smallest value of an option."""
    if name in {"port", "grpc_port", "threads", "max_delay_ms", "grace"}:
        return 0
    return 0.001 if name in {"timeout", "client_timeout"} else 1


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
