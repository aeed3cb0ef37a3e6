"""Lint, types and layers: what a reader relies on without reading it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOUNTED = {"cli": "onnx_reciprocam/cli", "models": "onnx_reciprocam/models"}
"""Folders that setup.cfg installs inside the package."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is laid out once installed, which is what the type checker and the layers speak of."""
    tree = tmp_path_factory.mktemp("installed")
    shutil.copytree(ROOT / "onnx_reciprocam", tree / "onnx_reciprocam")
    for source, place in MOUNTED.items():
        shutil.copytree(ROOT / source, tree / place)
    shutil.copytree(ROOT / "benchmarks" / "quality", tree / "benchmarks" / "quality")
    shutil.copy(ROOT / "benchmarks" / "networks.py", tree / "benchmarks")  # which those read
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def run(*command: str, folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_lint() -> None:
    run(sys.executable, "-m", "ruff", "check", ".", folder=ROOT)


def test_format() -> None:
    run(sys.executable, "-m", "ruff", "format", "--check", ".", folder=ROOT)


def test_types(installed: Path) -> None:
    run(sys.executable, "-m", "mypy", "-p", "onnx_reciprocam", "-p", "benchmarks.quality", folder=installed)


def test_layers(installed: Path) -> None:
    run(tool("lint-imports"), folder=installed)
