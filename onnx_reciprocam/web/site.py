"""The folder of files that is the page."""

from __future__ import annotations

import html
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from onnx_reciprocam.errors import NotBuiltError, WriteError
from onnx_reciprocam.runtime import ExplainedSession
from onnx_reciprocam.web import bundle
from onnx_reciprocam.web.model_files import model_files
from onnx_reciprocam.web.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).with_name("page")
INDEX, CONFIG, RUNTIME = "index.html", "config.json", "onnxruntime"
MODEL, WEIGHTS = "model", "model/weights"


class Site(NamedTuple):
    """What was written.

    Args:
        folder: Where.
        files: Relative to it.
        bytes: Of all together.
        assumed: Whether the file says nothing of preprocessing, so that ImageNet's is used.
    """

    folder: Path
    files: tuple[str, ...]
    bytes: int
    assumed: bool


def write_site(
    explained: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    title: str | None = None,
    overwrite: bool = False,
) -> Site:
    """Write a page that explains pictures in the browser, with the model and all that runs it.

    Args:
        explained: A rewritten file that takes a picture; what it says of preprocessing and labels is the page's.
        folder: Where; made if missing. All files get there, or none.
        title: Of the page; None for the file's name.
        overwrite: Replace files that exist.

    Raises:
        NotBuiltError: This package was installed without onnxruntime's files for the browser.
        ModelFileError, NotRewrittenError, MetadataError: As :class:`~onnx_reciprocam.runtime.ExplainedSession`.
        InputError: The model takes no picture, or more than a picture.
        UnsupportedModelError: It is larger than a browser holds.
        WriteError: A file is there already, or the folder cannot be written to.
    """
    source, target = Path(explained), Path(folder)
    if not bundle.is_built():
        raise NotBuiltError("onnxruntime's files for the browser", bundle.COMMAND, "npm")
    session = ExplainedSession(source)
    known = settings(session)
    weights = model_files(source)
    heading = title or source.name.removesuffix(".onnx").removesuffix(".explained")
    contents: dict[str, Path | bytes] = {f"{MODEL}/model.onnx": source}
    contents |= {f"{WEIGHTS}/{name}": path for name, path in weights.items()}
    contents |= {f"{RUNTIME}/{name}": bundle.FOLDER / name for name in bundle.BUILT}
    contents |= {path.name: path for path in sorted(PAGE.iterdir()) if path.name != INDEX}
    contents[CONFIG] = json.dumps({"title": heading, "model": _urls(source, weights)} | known, indent=1).encode()
    # Last, so that a folder with an index is whole.
    contents[INDEX] = (PAGE / INDEX).read_text("utf-8").replace("{{ title }}", html.escape(heading)).encode()
    _write(contents, target, overwrite=overwrite)
    size = sum((target / name).stat().st_size for name in contents)
    return Site(target, tuple(contents), size, assumed=session.contract.preprocessing is None)


def _urls(source: Path, weights: Mapping[str, Path]) -> dict[str, Any]:
    """Where the browser finds the model's files, and how much there is to load."""
    return {
        "url": f"{MODEL}/model.onnx",
        "bytes": source.stat().st_size,
        "data": [
            {"path": name, "url": f"{WEIGHTS}/{quote(name)}", "bytes": path.stat().st_size}
            for name, path in weights.items()
        ],
    }


def _write(contents: Mapping[str, Path | bytes], folder: Path, *, overwrite: bool) -> None:
    """Every file under a temporary name first, then the real names; what was made is gone again if that fails."""
    there = next((name for name in contents if os.path.lexists(folder / name)), None)
    if there and not overwrite:
        raise WriteError(str(folder / there), "it exists. Replace it with --overwrite, or name another folder.")
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".site.", dir=folder) as staged:
            for name, content in contents.items():
                _copy(content, Path(staged) / name)
            for name in contents:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(staged) / name).replace(folder / name)
    except BaseException as error:
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        if isinstance(error, OSError):
            raise WriteError(str(folder), f"{error.strerror or error}.") from None
        raise


def _copy(content: Path | bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
