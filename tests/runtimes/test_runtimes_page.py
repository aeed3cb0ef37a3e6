"""``docs/runtimes.md``: its samples run, and its table is what was measured and what is expected."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import runtimes
from comparison import RUNTIMES
from explained_files import LARGE_FILES, TINY_FILES, ExplainedFile
from limits import limit_of
from node_runtimes import FOLDER, NodeMissingError, version
from runtimes_table import DOCUMENT, document, read

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = ("scores", "saliency", "saliency_classes")


def samples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


@pytest.fixture
def batch() -> NDArray[np.float32]:
    return ExplainedFile("CNN", "predicted").feeds(3)["image"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, option in (("explained.onnx", "predicted"), ("toggled.onnx", "toggle")):
        model, _ = ExplainedFile("CNN", option).explained
        (tmp_path / name).write_bytes(model.SerializeToString())
    return tmp_path


def expected(batch: NDArray[np.float32]) -> list[NDArray[Any]]:
    model, _ = ExplainedFile("CNN", "predicted").explained
    return list(runtimes.onnxruntime(model.SerializeToString(), {"image": batch}, NAMES).values())


def test_python_samples(folder: Path, batch: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    *loading, requiring = samples("python")
    assert [re.findall(r"import (\w+)", sample) for sample in loading] == [["openvino"], ["cv2"]]
    for sample in loading:
        found: dict[str, Any] = {"batch": batch}
        exec(sample, found)  # noqa: S102 - the page's own words
        for name, want in zip(("scores", "saliency", "classes"), expected(batch), strict=True):
            np.testing.assert_allclose(found[name], want, rtol=1e-4, atol=1e-5)
    exec(requiring, {})  # noqa: S102
    required = (folder / "required.onnx").read_bytes()
    for explain, maps in ((True, 1), (False, 0)):
        answer = runtimes.onnxruntime(required, {"image": batch, "explain": np.array(explain)}, NAMES)
        assert answer["saliency"].shape == (3, maps, 6, 6)
    with pytest.raises(ValueError, match=r"Required inputs \(\['explain'\]\) are missing"):
        runtimes.onnxruntime(required, {"image": batch}, NAMES)


@pytest.mark.outside
@pytest.mark.parametrize("package", ["onnxruntime-web", "onnxruntime-node"])
def test_the_sample_for_javascript(folder: Path, batch: NDArray[np.float32], package: str) -> None:
    assert version(package)
    if shutil.which("node") is None:
        raise NodeMissingError
    (folder / "node_modules").symlink_to(FOLDER / "node_modules")
    (sample,) = samples("js")
    given = f"const pixels = new Float32Array({batch.ravel().tolist()}), shape = {list(batch.shape)};"
    answer = (
        "console.log(JSON.stringify([scores, saliency, saliency_classes].map(({ data }) => Array.from(data, Number))));"
    )
    (folder / "sample.mjs").write_text("\n".join([given, sample.replace("onnxruntime-web", package), answer]))
    done = subprocess.run(["node", "sample.mjs"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    for found, want in zip(json.loads(done.stdout), expected(batch), strict=True):
        np.testing.assert_allclose(found, want.ravel(), rtol=1e-4, atol=1e-5)


def test_the_table_has_every_file_in_every_runtime() -> None:
    measured = [(row.file, row.runtime) for row in read()]
    assert measured == [(file, name) for file in (*TINY_FILES, *LARGE_FILES) for name in RUNTIMES]


def test_the_table_is_what_is_expected() -> None:
    for row in read():
        limit = limit_of(row.runtime, row.file)
        if limit is not None and limit.sometimes and not row.reason:
            continue
        assert bool(row.reason) == (limit is not None), row
        assert limit is None or re.search(limit.says, row.reason), row


def test_the_page_shows_what_was_measured() -> None:
    assert DOCUMENT.read_text() == document(read())
