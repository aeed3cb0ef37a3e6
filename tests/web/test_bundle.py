"""onnxruntime's files for the browser: brought by npm when the package is built, asked for where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onnx_reciprocam.errors import NotBuiltError
from onnx_reciprocam.web import bundle, write_site

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SOURCES = ("onnx_reciprocam", "cli", "models", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
HOW = "onnxruntime's files for the browser are not built. Build them (needs npm): python -m onnx_reciprocam.web"


@pytest.mark.usefixtures("unbuilt")
def test_the_command_says_how_to_build_what_is_missing(tiny: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(NotBuiltError) as raised:
        write_site(tiny(), tmp_path / "page")
    assert str(raised.value) == HOW
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("name", [*bundle.BUILT, bundle.VERSION])
def test_a_bundle_that_is_not_whole_is_none(name: str, built: Path) -> None:
    assert bundle.is_built()
    (built / name).unlink()
    assert not bundle.is_built()


def test_a_bundle_of_another_version_is_none(built: Path) -> None:
    (built / bundle.VERSION).write_text("1.0.0")
    assert not bundle.is_built()


def test_without_npm(unbuilt: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert bundle.main() == 1
    assert capsys.readouterr().err == "error: npm is not installed; it comes with Node.js\n"
    assert not unbuilt.exists()


def test_npm_that_fails(
    unbuilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(npm))
    assert bundle.main() == 1
    assert capsys.readouterr().err == "error: npm ci failed: npm error code ENOTFOUND\n"
    assert not unbuilt.exists()
    assert not list(bundle.HERE.glob(".onnxruntime.*"))


def test_the_lock_is_of_the_version_that_is_named() -> None:
    locked = (bundle.HERE / "package-lock.json").read_text("utf-8")
    assert f'"onnxruntime-web": "{bundle._wanted()}"' in locked  # noqa: SLF001 - of package.json


@pytest.mark.outside
def test_a_wheel_brings_the_files(tmp_path: Path) -> None:
    """Built from a copy without them, as from a fresh checkout."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in SOURCES:
        source = ROOT / name
        leave = shutil.ignore_patterns("__pycache__", "onnxruntime")
        _ = shutil.copytree(source, sources / name, ignore=leave) if source.is_dir() else shutil.copy(source, sources)
    command = [sys.executable, "-m", "pip", "wheel", str(sources), "--no-deps", "--no-build-isolation", "-w", tmp_path]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    for name in (*bundle.BUILT, bundle.VERSION):
        assert sizes[f"onnx_reciprocam/web/onnxruntime/{name}"] > 0
    assert "onnx_reciprocam/web/page/index.html" in sizes
    assert not [name for name in sizes if "node_modules" in name]
