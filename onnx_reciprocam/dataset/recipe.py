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
from onnx_reciprocam.dataset.providers import offered, see_started
from onnx_reciprocam.errors import AlreadyRewrittenError, InputError, ModelFileError, NoTargetError, NotRewrittenError
from onnx_reciprocam.explainers import BlackBoxSession, check_class_ids, explainer, refuse_draws, refuse_options
from onnx_reciprocam.runtime import ExplainedSession
from onnx_reciprocam.runtime.opening import external_files

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    Prepare: TypeAlias = Callable[[Preprocessing | None], Preprocessing | None]
    """From what a file says of preprocessing, if anything, to what is wanted."""

Session: TypeAlias = ExplainedSession | BlackBoxSession
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """A model and how it is explained.

    Args:
        model: Path of an explained file, or of a plain model.
        options: For plain models, as :func:`~onnx_reciprocam.explainer` takes them, ``method`` among them.
        class_ids: The classes to explain, for files and options that want them told.
        preprocessing: How pictures become the input; None for what the file says, ImageNet's where it says nothing; or a
            function of what the file says.
        labels: Class names in order; none for what the file says.
        providers: onnxruntime's execution providers; none for the CPU.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    class_ids: tuple[int, ...] = ()
    preprocessing: Preprocessing | Prepare | None = None
    labels: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    @contextmanager
    def spliced(self) -> Iterator[Recipe]:
        """The same with an explained file in place of a plain model, where the method can be spliced in.

        Raises:
            ReciprocamError: The model cannot be read or explained, or the options do not suit it.
        """
        with TemporaryDirectory(prefix="reciprocam-") as temporary:
            yield self._rewritten(Path(temporary) / "explained.onnx")

    def _rewritten(self, path: Path) -> Recipe:
        from onnx_reciprocam.methods import BlackBox, find
        from onnx_reciprocam.rewriter import rewrite

        method, prepared = self.options.get("method", RewriteOptions.method), self.prepared(None)
        if issubclass(find(method), BlackBox):
            return self
        options = {name: value for name, value in self._all_options.items() if name not in {"samples", "seed"}}
        refuse_draws(method, self.options.get("samples"), self.options.get("seed"))
        try:
            rewrite(self.model, path, preprocessing=prepared, labels=self.labels, **options)
        except AlreadyRewrittenError:
            return self
        except NoTargetError:
            if {"method", "target"} & self.options.keys():
                raise
            return self  # explainer falls back to a method that needs no target, and says so
        return replace(self, model=str(path), options={}, preprocessing=prepared)

    def prepared(self, said: Preprocessing | None) -> Preprocessing | None:
        """What is wanted of a file that says so much; None for ImageNet's."""
        wanted = self.preprocessing
        return wanted or said if wanted is None or isinstance(wanted, Preprocessing) else wanted(said)

    @property
    def _all_options(self) -> dict[str, Any]:
        return ({"classes": "input"} if self.class_ids else {}) | self.options

    def open(self, threads: int = 1, tell: Callable[[str], object] = warnings.warn) -> Session:
        """The explainer.

        Args:
            threads: Of onnxruntime within a run of a black-box method; other runs keep to one.
            tell: Told in a sentence when another method is taken than the default, or another provider than wanted.

        Raises:
            ReciprocamError: It cannot be opened, or wants class numbers and there are none, or the other way round.
        """
        providers = offered(self.providers, tell)
        try:
            explained = ExplainedSession(self.model, labels=self.labels or None, **_running(1, providers))
            refuse_options(self.options)
            explained.preprocessing = self.prepared(explained.contract.preprocessing) or Preprocessing()
            session: Session = explained
        except NotRewrittenError:
            session = explainer(
                self.model,
                preprocessing=self.prepared(None),
                labels=self.labels,
                tell=tell,
                **_running(threads, providers),
                **self._all_options,
            )
        see_started(providers, session.session.get_providers(), tell)
        check_class_ids(session, self.class_ids)
        if session.other_inputs:
            raise InputError(
                session.other_inputs[0],
                "pictures cannot fill it; only models whose one input is the picture are explained.",
            )
        return session


def _running(threads: int, providers: Sequence[str]) -> dict[str, Any]:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    return {"providers": list(providers) or None, "session_options": settings}


def sha256(model: str | os.PathLike[str]) -> str:
    """Of a model file's bytes, then of its external data's.

    Raises:
        ModelFileError: One of them cannot be read.
    """
    digest = hashlib.sha256()
    for file in (Path(model), *external_files(model).values()):
        try:
            with file.open("rb") as stream:
                while piece := stream.read(_CHUNK):
                    digest.update(piece)
        except OSError as error:  # noqa: PERF203 - the file is named
            raise ModelFileError(str(file), f"cannot be read ({error.strerror})") from error
    return digest.hexdigest()
