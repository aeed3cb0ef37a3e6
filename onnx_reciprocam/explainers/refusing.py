"""Options that mean nothing where they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx_reciprocam.explainers.black_box import BlackBoxSession
    from onnx_reciprocam.runtime import ExplainedSession


def refuse_draws(method: str, samples: int | None, seed: int | None) -> None:
    """Refuse samples and a seed to a method that is spliced into the file.

    Raises:
        OptionError: There are some.
    """
    find(method).refuse({"samples": samples, "seed": seed})


def refuse_options(options: Mapping[str, Any]) -> None:
    """Refuse options of a rewrite for a file that is explained already.

    Raises:
        OptionError: There are some.
    """
    for name, value in options.items():
        word = str(getattr(value, "value", value))
        only = ("a plain model, and this file is explained already",)
        raise OptionError(f"--{name.replace('_', '-')}", word, only)


def check_class_ids(session: ExplainedSession | BlackBoxSession, ids: Sequence[int]) -> None:
    """See that class numbers are there if, and only if, the session wants them told.

    Raises:
        OptionError: They are not, or one of them is no class.
    """
    choice = session.class_choice
    if choice.kind == "input" and not ids:
        raise OptionError("--class-id", "nothing", ("a class number: this file explains the classes it is told",))
    if session.class_count is not None and max(ids, default=0) >= session.class_count:
        raise OptionError("--class-id", str(max(ids)), (f"a class number from 0 to {session.class_count - 1}",))
    if choice.kind != "input" and ids:
        raise OptionError("--class-id", str(ids[0]), (f"nothing: this file explains classes {str(choice)!r}",))
