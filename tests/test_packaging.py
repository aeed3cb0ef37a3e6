"""What ends up in a wheel and in an editable install."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"onnx_reciprocam": "onnx_reciprocam", "cli": "onnx_reciprocam.cli", "models": "onnx_reciprocam.models"}
PROBE = "import onnx_reciprocam.cli, onnx_reciprocam.models as m; print(onnx_reciprocam.cli.__file__, m.__file__)"


def packages_on_disk() -> set[str]:
    found = set()
    for folder, name in FOLDERS.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / folder).parts]))
    return found


def test_setup_cfg_lists_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert set(config["options"]["packages"].split()) == packages_on_disk()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from, so that nothing is left in the checkout."""
    copy = tmp_path_factory.mktemp("sources")
    for name in (*FOLDERS, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        _ = shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy)
    return copy


def pip(*arguments: str, python: Path | None = None) -> None:
    """pip with the packages of this environment at hand and nothing to download."""
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "PIP_NO_INDEX": "1"}
    chosen = ["--python", str(python)] if python else []
    command = [sys.executable, "-m", "pip", *chosen, *arguments, "--no-deps", "--no-build-isolation", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def ask(python: Path, folder: Path, *, paths: str) -> list[Path]:
    """Where the command line and the models are imported from."""
    done = subprocess.run(
        [python, "-c", PROBE],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in done.stdout.split()]


def test_wheel(sources: Path, tmp_path: Path) -> None:
    pip("wheel", str(sources), "--wheel-dir", str(tmp_path / "wheels"))
    (wheel,) = (tmp_path / "wheels").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"onnx_reciprocam"}
    assert "onnx_reciprocam/py.typed" in names
    pip("install", str(wheel), "--target", str(tmp_path / "site"))
    paths = os.pathsep.join([str(tmp_path / "site"), sysconfig.get_path("purelib")])
    cli, models = ask(Path(sys.executable), tmp_path, paths=paths)
    assert cli == tmp_path / "site" / "onnx_reciprocam" / "cli" / "__init__.py"
    assert models == tmp_path / "site" / "onnx_reciprocam" / "models" / "__init__.py"


def test_editable_install(sources: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip("install", "--editable", str(sources), python=python)
    (site,) = (tmp_path / "venv").rglob("site-packages")
    (site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib"))  # behind the venv's own packages
    cli, models = ask(python, tmp_path, paths="")
    assert cli == sources / "cli" / "__init__.py"
    assert models == sources / "models" / "__init__.py"
