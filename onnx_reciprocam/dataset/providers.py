"""Which of the wanted execution providers a machine has: where it lacks one the next is taken, and it is said."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import onnxruntime

from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CPU = "CPUExecutionProvider"
GPUS = frozenset(f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "NvTensorRTRTX", "ROCM", "MIGraphX"))
"""Providers that keep a GPU to themselves."""


def offered(wanted: Sequence[str], tell: Callable[[str], object]) -> tuple[str, ...]:
    """Those of the wanted providers that onnxruntime has on this machine, in their order.

    Args:
        wanted: Names, the best first; none for the CPU.
        tell: Told in a sentence of each that is not there, if another one is.

    Raises:
        OptionError: onnxruntime knows no such provider, or has none of them here.
    """
    here = onnxruntime.get_available_providers()
    known = {*onnxruntime.get_all_providers(), *here}
    found = tuple(name for name in wanted if name in here)
    for name in wanted:
        if name not in known or not found:
            raise OptionError("--provider", name, here)
        if name not in here:
            tell(f"onnxruntime on {platform.node()} has no {name}; {found[0]} takes its place")
    return found


def see_started(wanted: Sequence[str], started: Sequence[str], tell: Callable[[str], object]) -> None:
    """See that a session runs on what it was opened with: onnxruntime goes on without a provider that does not start.

    Args:
        wanted: Providers it was opened with.
        started: Those it has.
        tell: Told in a sentence of each that did not start, if the CPU is wanted, too.

    Raises:
        OptionError: It did not start, and the CPU is not wanted.
    """
    for name in wanted:
        if name in started:
            continue
        if CPU not in wanted:
            raise OptionError("--provider", name, (*started, f"{name} beside {CPU}"))
        tell(f"{name} does not start on {platform.node()}; {started[0]} takes its place")
