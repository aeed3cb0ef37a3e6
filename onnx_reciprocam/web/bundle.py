"""onnxruntime's own files for the browser, which npm brings when this package is built.

``python -m onnx_reciprocam.web`` builds them by hand. Standard library alone: setup.py runs this file before
anything is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE / "onnxruntime"
BUILT = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The build for WebAssembly alone, which takes one thread or several; those for WebGPU are twice as large."""
VERSION = "version.txt"
COMMAND = "python -m onnx_reciprocam.web"

_WANTED = ("package.json", "package-lock.json")
_NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")


class BundleError(RuntimeError):
    """npm is missing or fails."""


def is_built() -> bool:
    """Whether the files are there, of the version that package.json names."""
    stamp = FOLDER / VERSION
    return (
        all((FOLDER / name).is_file() for name in BUILT) and stamp.is_file() and stamp.read_text("utf-8") == _wanted()
    )


def build() -> None:
    """Have npm fetch onnxruntime-web as package-lock.json pins it, and keep the files that a page needs.

    Raises:
        BundleError: npm is not installed, or fails: no network, or files other than the lock's.
    """
    if (npm := shutil.which("npm")) is None:
        raise BundleError("npm is not installed; it comes with Node.js")
    with tempfile.TemporaryDirectory(prefix=".onnxruntime.", dir=HERE) as work:
        for name in _WANTED:
            shutil.copy(HERE / name, work)
        done = subprocess.run([npm, *_NPM], cwd=work, capture_output=True, text=True, check=False)  # noqa: S603 - npm, with arguments of our own
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise BundleError(f"npm ci failed: {' '.join(lines[:2]) or done.returncode}")
        _keep(Path(work) / "node_modules" / "onnxruntime-web" / "dist", Path(work) / "kept")


def _keep(source: Path, kept: Path) -> None:
    """All of them, then the name."""
    kept.mkdir()
    for name in BUILT:
        shutil.copy(source / name, kept)
    (kept / VERSION).write_text(_wanted(), "utf-8")
    shutil.rmtree(FOLDER, ignore_errors=True)
    kept.replace(FOLDER)


def _wanted() -> str:
    return str(json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]["onnxruntime-web"])


def main() -> int:
    """Build; 0, or 1 where that fails."""
    try:
        build()
    except (BundleError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is the terminal
        return 1
    print(f"{FOLDER}: onnxruntime-web {_wanted()}")  # noqa: T201 - this is the terminal
    return 0
