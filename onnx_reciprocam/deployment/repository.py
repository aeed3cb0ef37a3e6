"""Triton's model repository: ``REPO/NAME/VERSION/model.onnx`` beside ``REPO/NAME/config.pbtxt``."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

from onnx_reciprocam.contract import Contract
from onnx_reciprocam.deployment.triton import LABELS, Serving, label_lines, triton_config
from onnx_reciprocam.errors import OptionError, WriteError
from onnx_reciprocam.graph import Model, load, save
from onnx_reciprocam.runtime.atomic import write_atomically
from onnx_reciprocam.runtime.opening import open_session

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

CONFIG, FILE = "config.pbtxt", "model.onnx"
NEXT = 0
"""As a version: one above the newest."""
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Exported:
    """A model in the repository.

    Args:
        folder: ``REPO/NAME``.
        version: The one that was written.
        config: The text of its ``config.pbtxt``.
    """

    folder: Path
    version: int
    config: str


@dataclass(frozen=True)
class _Plan:
    """One model and what will be written of it."""

    model: Model
    exported: Exported
    files: dict[str, str]

    @property
    def place(self) -> Path:
        return self.exported.folder / str(self.exported.version)


def export_triton(
    sources: Sequence[str | os.PathLike[str]],
    repository: str | os.PathLike[str],
    serving: Serving | None = None,
    *,
    name: str | None = None,
    version: int = 1,
    overwrite: bool = False,
) -> list[Exported]:
    """Lay explained files out as Triton's model repository; whatever is wrong is found before anything is written.

    Args:
        sources: Explained files.
        repository: Folder of the models; made if missing.
        serving: How Triton runs them.
        name: Of a single model; the file's name without ``.onnx`` if None.
        version: A number from 1, or :data:`NEXT`.
        overwrite: Replace this version, and a configuration that says otherwise. Other versions stay.

    Raises:
        NotRewrittenError: A plain model.
        OptionError: Two models have one name, or an option does not fit.
        WriteError: The version is there already, or cannot be written.
        ReciprocamError: A file cannot be used.
    """
    if name is not None and len(sources) > 1:
        raise OptionError("--name", name, ("the name of one file; each of several is called as its file is",))
    plans: dict[Path, _Plan] = {}
    for source in map(Path, sources):
        folder = Path(repository) / _checked(name or source.stem)
        if folder in plans:
            raise OptionError("--name", folder.name, (f"a name per model, and {source} has that one too",))
        plans[folder] = _plan(source, folder, serving or Serving(), version)
    if not overwrite:
        for plan in plans.values():
            _refuse_loss(plan)
    for plan in plans.values():
        _write(plan)
    return [plan.exported for plan in plans.values()]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise OptionError("--name", name, ("letters, digits, dots, dashes and underscores",))
    return name


def _plan(source: Path, folder: Path, serving: Serving, version: int) -> _Plan:
    model = load(source)
    contract = Contract.from_metadata({entry.key: entry.value for entry in model.proto.metadata_props}, model.name)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    config = triton_config(open_session(source, None, options), contract, folder.name, serving)
    files = {LABELS: label_lines(contract)} if contract.labels else {}
    number = version or 1 + max(_versions(folder), default=0)
    return _Plan(model, Exported(folder, number, config), files | {CONFIG: config})


def _versions(folder: Path) -> Iterator[int]:
    """Those in the folder; Triton ignores names that are no number or begin with 0."""
    if folder.is_dir():
        yield from (int(path.name) for path in folder.iterdir() if re.fullmatch("[1-9][0-9]*", path.name))


def _refuse_loss(plan: _Plan) -> None:
    folder = plan.exported.folder
    if plan.place.exists():
        raise WriteError(str(plan.place), "it exists. Add a version with --version next, or replace it: --overwrite.")
    for file, text in plan.files.items():
        if (folder / file).exists() and (folder / file).read_bytes() != text.encode():
            raise WriteError(
                str(folder / file),
                "the one that is there differs. Replace it for all versions with --overwrite, or take another --name.",
            )


def _write(plan: _Plan) -> None:
    """The version takes its name last, and whole; Triton ignores folders that are no number."""
    try:
        with (
            _made(plan.exported.folder),
            tempfile.TemporaryDirectory(prefix=".staging-", dir=plan.exported.folder) as staging,
        ):
            new, old = Path(staging) / "new", Path(staging) / "old"
            new.mkdir()
            save(plan.model.proto, new / FILE, source_folder=plan.model.folder)
            for file, text in plan.files.items():
                write_atomically(plan.exported.folder / file, text.encode())
            if plan.place.exists():
                plan.place.rename(old)
            new.rename(plan.place)
    except OSError as error:
        raise WriteError(str(plan.place), f"{error.strerror or error}.") from error


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """``folder`` and those above it, which vanish again if what follows fails."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for place in missing:
            for file in (CONFIG, LABELS) if place == folder else ():
                (place / file).unlink(missing_ok=True)
            place.rmdir()
        raise
