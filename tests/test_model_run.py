from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from onnx_reciprocam.errors import ModelFileError
from onnx_reciprocam.model_run import Inputs, ModelRun

if TYPE_CHECKING:
    from pathlib import Path

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script")
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2, 3] image, int64[2] ids) => (float[2, 3] scores, int64[2] same) { scores = Relu(image) same = Identity(ids) }
"""
INPUTS: Inputs = {"image": ("float32", (2, 3)), "ids": ("int64", (2,))}


@pytest.fixture
def path(tmp_path: Path) -> str:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "model.onnx")
    return str(tmp_path / "model.onnx")


def run_of(path: str, inputs: Inputs = INPUTS) -> ModelRun:
    return ModelRun(path, inputs, 1, ["CPUExecutionProvider"])


def test_it_runs_on_the_same_noise_each_time(path: str) -> None:
    run = run_of(path)
    feeds = run.feeds()
    assert {name: array.dtype.name for name, array in feeds.items()} == {"image": "float32", "ids": "int64"}
    np.testing.assert_array_equal(feeds["image"], np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32))
    np.testing.assert_array_equal(feeds["ids"], [0, 0])
    scores, same = run.start()()
    np.testing.assert_array_equal(scores, np.maximum(feeds["image"], 0))
    np.testing.assert_array_equal(same, feeds["ids"])


@LINUX
def test_a_process_of_its_own_counts_itself_alone(path: str) -> None:
    before = run_of(path).peak_alone("it")
    here = np.ones(40_000_000)  # 320 MB that the child's ru_maxrss would start with
    after = run_of(path).peak_alone("it")
    assert here.nbytes == 320e6
    assert after == pytest.approx(before, abs=20)


@LINUX
def test_a_peak_remembers_what_was_given_back() -> None:
    code = (
        "import numpy; from onnx_reciprocam.model_run import own_peak; before = own_peak();"
        "array = numpy.ones(25_000_000); del array; print(own_peak() - before)"
    )
    grown = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert grown == pytest.approx(200, abs=10)


def test_the_process_imports_nothing_heavy() -> None:
    code = "import sys, onnx_reciprocam.model_run; print({'onnx', 'cv2', 'rich', 'typer'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "set()\n"


def test_a_model_that_fails_says_why(path: str) -> None:
    wrong = run_of(path, {"image": ("float32", (2, 4)), "ids": ("int64", (2,))})
    with pytest.raises(ModelFileError, match="it: onnxruntime does not run it: Got invalid dimensions") as caught:
        wrong.peak_alone("it")
    assert "\n" not in str(caught.value)


@UNIX
def test_a_process_that_is_killed_says_so(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (killed := tmp_path / "killed").write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(ModelFileError, match=r"it: the system killed it \(signal 9\)"):
        run_of(path).peak_alone("it")


@UNIX
def test_a_process_that_says_nothing(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (silent := tmp_path / "silent").write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    with pytest.raises(ModelFileError, match="it ended without a word"):
        run_of(path).peak_alone("it")
