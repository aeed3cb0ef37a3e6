"""How a worker comes by its explainer: in this process, or described in words that another machine can follow."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import onnxruntime

from onnx_reciprocam.contract import Preprocessing, RewriteOptions
from onnx_reciprocam.errors import InputError, NoTargetError, NotRewrittenError, OptionError
from onnx_reciprocam.explainers import BlackBoxSession, explainer
from onnx_reciprocam.runtime import ExplainedSession
from onnx_reciprocam.runtime.declared_files import declared_files
from onnx_reciprocam.runtime.opening import mapped

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

Session: TypeAlias = ExplainedSession | BlackBoxSession
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """A model and how it is explained.

    Args:
        model: Path of an explained file, or of a plain model.
        options: For plain models, as :func:`~onnx_reciprocam.explainer` takes them, ``method`` among them.
        class_ids: The classes to explain, for files and options that want them told.
        preprocessing: How pictures become the input; None for what the file says, ImageNet's where it says nothing.
        labels: Class names in order; none for what the file says.
        providers: onnxruntime's execution providers; none for the CPU.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    class_ids: tuple[int, ...] = ()
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    @contextmanager
    def spliced(self) -> Iterator[Recipe]:
        """The same with an explained file in place of a plain model, where the method can be spliced in.

        Raises:
            ReciprocamError: The model cannot be read or explained, or the options do not suit it.
        """
        try:
            ExplainedSession(self.model)
        except NotRewrittenError:
            pass
        else:
            for name, value in self.options.items():
                word = str(getattr(value, "value", value))
                raise OptionError(f"--{name.replace('_', '-')}", word, ("a plain model, and this file is explained",))
            yield self
            return
        with TemporaryDirectory(prefix="reciprocam-") as temporary:
            yield self._rewritten(Path(temporary) / "explained.onnx")

    def _rewritten(self, path: Path) -> Recipe:
        from onnx_reciprocam.methods import BlackBox, find
        from onnx_reciprocam.rewriter import rewrite

        if issubclass(find(self.options.get("method", RewriteOptions.method)), BlackBox):
            return self
        for name in ("samples", "seed"):
            if name in self.options:
                raise OptionError(f"--{name}", str(self.options[name]), ("a black-box method, which draws samples",))
        try:
            rewrite(self.model, path, preprocessing=self.preprocessing, labels=self.labels, **self._all_options)
        except NoTargetError:
            if {"method", "target"} & self.options.keys():
                raise
            return self  # explainer falls back to a method that needs no target, and says so
        return replace(self, model=str(path), options={})

    @property
    def _all_options(self) -> dict[str, Any]:
        return ({"classes": "input"} if self.class_ids else {}) | self.options

    def open(self, threads: int = 1, tell: Callable[[str], object] = warnings.warn) -> Session:
        """The explainer, its runs on so many threads each.

        Args:
            threads: Of onnxruntime within a run.
            tell: Told in a sentence when another method is taken than the default.

        Raises:
            ReciprocamError: It cannot be opened, or wants class numbers and there are none, or the other way round.
        """
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        running = {"providers": list(self.providers) or None, "session_options": settings}
        try:
            session: Session = ExplainedSession(
                self.model, preprocessing=self.preprocessing, labels=self.labels or None, **running
            )
        except NotRewrittenError:
            session = explainer(
                self.model,
                preprocessing=self.preprocessing,
                labels=self.labels,
                tell=tell,
                **running,
                **self._all_options,
            )
        self._check(session)
        return session

    def _check(self, session: Session) -> None:
        told = session.class_choice.kind == "input"
        if told and not self.class_ids:
            raise OptionError("--class-id", "nothing", ("a class number: this file explains the classes it is told",))
        if self.class_ids and not told:
            raise OptionError(
                "--class-id", str(self.class_ids[0]), (f"nothing: this file explains {session.class_choice}",)
            )
        most = max(self.class_ids, default=0)
        if session.class_count is not None and most >= session.class_count:
            raise OptionError("--class-id", str(most), (f"a class number from 0 to {session.class_count - 1}",))
        if others := [name for name in _inputs(session) if name not in _known_inputs(session)]:
            raise InputError(
                others[0], "pictures cannot fill it; only models whose one input is the picture are explained."
            )


def sha256(model: str | os.PathLike[str]) -> str:
    """Of a model file's bytes, then of its external data's.

    Raises:
        OSError: One of them cannot be read.
    """
    path, digest = Path(model), hashlib.sha256()
    for file in (path, *(path.parent / location for location in sorted(declared_files(mapped(path))))):
        with file.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    return digest.hexdigest()


def _inputs(session: Session) -> list[str]:
    return [node.name for node in session.session.get_inputs()]


def _known_inputs(session: Session) -> set[str]:
    """Those that a picture and class numbers fill."""
    return {session.image.name, *(session.contract.inputs.values() if isinstance(session, ExplainedSession) else ())}
