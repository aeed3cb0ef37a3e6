"""Explanation methods, one paper per file; a file that holds a :class:`Method` is found without being listed anywhere."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods.black_box import BlackBox
from onnx_reciprocam.methods.in_graph import InGraph
from onnx_reciprocam.methods.method import Method, Needs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BlackBox", "InGraph", "Method", "Needs", "find", "methods", "spliced"]


@cache
def methods() -> Mapping[str, type[Method]]:
    """All methods by name: ReciproCAM, the others that are spliced into the file, those that run around the session."""
    found: dict[str, type[Method]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if not isinstance(value, type) or not issubclass(value, Method) or "name" not in vars(value):
                continue
            if found.setdefault(value.name, value) is not value:
                raise TypeError(f"{value} and {found[value.name]} are both named {value.name!r}")
    order = sorted(found, key=lambda name: (name != "reciprocam", issubclass(found[name], BlackBox), name))
    return {name: found[name] for name in order}


def find(name: str, option: str = "--method") -> type[Method]:
    """The method that ``--method``, or another ``option``, means.

    Raises:
        OptionError: There is none of this name.
    """
    if name not in methods():
        raise OptionError(option, name, tuple(methods()))
    return methods()[name]


def spliced(name: str) -> type[InGraph]:
    """The method that ``--method`` means where a file is written.

    Raises:
        OptionError: There is none of this name, or it runs around the session.
    """
    method = find(name)
    if not issubclass(method, InGraph):
        how = f"{name} runs around the session: onnx-reciprocam explain MODEL IMAGE -o DIR --method {name}"
        names = ", ".join(key for key, value in methods().items() if issubclass(value, InGraph))
        raise OptionError("--method", name, (f"{names} here; {how}",))
    return method
