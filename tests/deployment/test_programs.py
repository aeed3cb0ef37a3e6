"""The programs of docs/deploy, which know nothing of this package, say what the package says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.runtime.scores import probabilities

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "docs" / "deploy"
NODE_MODULES = ROOT / "tests" / "runtimes" / "node_modules"
"""Where ``npm ci --ignore-scripts`` in the folder above puts them."""
HEADERS = Path(__file__).parent / "headers" / "usr" / "include"
"""Where ``onnxruntime_headers.sh`` in this folder puts them."""
SIDE = (6, 8)
LABELS = ("cat", "dog", "größe", "sea lion", "x")
RAW = rc.Preprocessing(size=SIDE, crop=None, mean=(0.4, 0.5, 0.6), std=(0.2,), scale=1 / 255)
FILES: dict[str, tuple[Tiny, dict[str, Any]]] = {
    "logits": (Tiny(), {"preprocessing": RAW, "labels": LABELS}),
    "softmax": (Tiny(ending="Softmax"), {"preprocessing": RAW, "labels": LABELS}),
    "every class": (Tiny(), {"preprocessing": RAW, "classes": "all"}),
    "bgr": (Tiny(), {"preprocessing": rc.Preprocessing(size=SIDE, crop=None, color="bgr"), "normalize": "none"}),
    "nhwc": (Tiny(channels_last=True), {"preprocessing": RAW, "labels": LABELS}),
    "nothing told": (Tiny(), {}),
}


def write(folder: Path, case: str) -> tuple[Path, np.ndarray]:
    """An explained file and a picture of its input's own size."""
    network, options = FILES[case]
    rc.rewrite(network.build(), folder / "explained.onnx", **options)
    picture = np.random.default_rng(5).integers(0, 256, (*SIDE, 3), np.uint8)
    cv2.imwrite(str(folder / "photo.ppm"), picture)
    cv2.imwrite(str(folder / "photo.png"), picture)
    return folder / "explained.onnx", picture


def run(*command: str, folder: Path) -> list[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def agrees(lines: list[str], model: Path, batch: np.ndarray) -> None:
    """Top classes and cells of the program are those of one run through the package, to the digits it prints."""
    session = rc.ExplainedSession(model)
    result = session(batch)
    shares = probabilities(result.predictions[0], session.contract.activation)
    best = np.argsort(-shares, kind="stable")[:3]
    names = session.labels or tuple(map(str, range(len(shares))))
    wanted = [f"{names[index]}\t{shares[index]:.4f}" for index in best]
    for line, other in zip(lines, wanted, strict=False):
        name, share = line.split("\t")
        assert name == other.split("\t")[0]
        assert abs(float(share) - float(other.split("\t")[1])) < 2e-4
    chosen = int(result.classes[0, 0]) if session.contract.classes != "all" else int(best[0])
    cells = result.saliency[0, chosen if session.contract.classes == "all" else 0]
    assert lines[3] == f"map of {names[chosen]}, {cells.shape[0]}x{cells.shape[1]}:"
    printed = np.array([[float(word) for word in line.split()] for line in lines[4:]])
    np.testing.assert_allclose(printed, cells, atol=2e-3 * max(1, float(np.abs(cells).max())))


def batch_of(model: Path, picture: np.ndarray) -> np.ndarray:
    """The picture prepared by the package, uncropped: the other programs take pictures of the right size."""
    session = rc.ExplainedSession(model)
    how = session.preprocessing
    session = rc.ExplainedSession(model, preprocessing=rc.Preprocessing(
        size=SIDE, crop=None, mean=how.mean, std=how.std, scale=how.scale, color=how.color, layout=how.layout
    ))  # fmt: skip
    return session.prepare(np.ascontiguousarray(picture[..., ::-1]))[0]


@pytest.mark.parametrize("case", FILES)
def test_python(case: str, tmp_path: Path) -> None:
    model, _ = write(tmp_path, case)
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(0, 256, (9, 7, 3), np.uint8), (61, 47))
    cv2.imwrite(str(tmp_path / "photo.png"), picture)
    program = str(PROGRAMS / "explain.py")
    lines = run(sys.executable, "-W", "error", program, "explained.onnx", "photo.png", "heat.png", folder=tmp_path)
    agrees(lines, model, rc.ExplainedSession(model).prepare(tmp_path / "photo.png")[0])
    assert cv2.imread(str(tmp_path / "heat.png")).shape == (*SIDE, 3)


def test_python_needs_nothing_of_ours() -> None:
    assert "onnx_reciprocam" not in (PROGRAMS / "explain.py").read_text("utf-8")


@pytest.mark.outside
@pytest.mark.parametrize("case", FILES)
def test_node(case: str, tmp_path: Path) -> None:
    assert shutil.which("node"), "this test needs Node.js 20 or later"
    assert (NODE_MODULES / "onnxruntime-node").is_dir(), "run `npm ci --ignore-scripts` in tests/runtimes first"
    model, picture = write(tmp_path, case)
    shutil.copy(PROGRAMS / "explain.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    lines = run("node", "explain.mjs", "explained.onnx", "photo.ppm", "heat.pgm", folder=tmp_path)
    agrees(lines, model, batch_of(model, picture))
    assert cv2.imread(str(tmp_path / "heat.pgm"), cv2.IMREAD_GRAYSCALE).shape == (3, 4)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """explain.cpp as a program, with the library that onnxruntime-node carries."""
    assert shutil.which("g++"), "this test needs g++"
    assert HEADERS.is_dir(), "run tests/deployment/onnxruntime_headers.sh first"
    (library,) = NODE_MODULES.glob("onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1")
    folder = tmp_path_factory.mktemp("compiled")
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]
    includes = ["-isystem", str(HEADERS), "-isystem", str(HEADERS / "onnxruntime")]
    linked = [str(library), f"-Wl,-rpath,{library.parent}", "-o", "explain"]
    run("g++", *flags, str(PROGRAMS / "explain.cpp"), *includes, *linked, folder=folder)
    return folder / "explain"


@pytest.mark.outside
@pytest.mark.parametrize("case", FILES)
def test_cpp(case: str, compiled: Path, tmp_path: Path) -> None:
    model, picture = write(tmp_path, case)
    lines = run(str(compiled), "explained.onnx", "photo.ppm", "heat.pgm", folder=tmp_path)
    agrees(lines, model, batch_of(model, picture))
    assert cv2.imread(str(tmp_path / "heat.pgm"), cv2.IMREAD_GRAYSCALE).shape == (3, 4)


@pytest.mark.outside
def test_cpp_says_what_it_cannot_read(compiled: Path, tmp_path: Path) -> None:
    write(tmp_path, "logits")
    (tmp_path / "photo.ppm").write_bytes((tmp_path / "photo.ppm").read_bytes()[:-1])
    command = [str(compiled), "explained.onnx", "photo.ppm", "heat.pgm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (1, "photo.ppm is cut short\n")
    assert not (tmp_path / "heat.pgm").exists()
