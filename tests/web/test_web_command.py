"""`onnx-reciprocam web` as a user meets it: the folder, and why there is none."""

from __future__ import annotations

import errno
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from mirrors import LEVELS, mirror
from onnx import TensorProto
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.cli import run
from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.web import bundle, model_files, site, write_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("built")
LEVEL = Preprocessing(size=(6, 8), crop=None, layout="nchw", **LEVELS)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text("utf-8")))


def works(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    code = run(["web", *map(str, arguments)])
    out, err = capfd.readouterr()
    assert (code, "error:" in err) == (0, False), err
    return out, err


def fails(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["web", *map(str, arguments)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("error: ")


def test_a_folder_with_all_that_the_page_needs(
    tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, folder = tiny(), tmp_path / "deep" / "page"
    out, err = works(capfd, model, "-o", folder)
    assert err == ""
    written = files(folder)
    assert written["model/model.onnx"] == model.read_bytes()
    assert {f"onnxruntime/{name}" for name in bundle.BUILT} <= set(written)
    assert {path.name for path in site.PAGE.iterdir()} <= set(written)
    assert f"{len(written)} files" in out
    assert f"python -m http.server -d {folder}" in out
    assert [path.name for path in folder.parent.iterdir()] == ["page"]


def test_every_module_that_the_page_imports_is_there() -> None:
    names = {path.name for path in site.PAGE.iterdir()}
    for path in site.PAGE.glob("*.js"):
        imported = [line.split('"')[1] for line in path.read_text().splitlines() if line.startswith("import ")]
        assert {name.removeprefix("./") for name in imported if "onnxruntime" not in name} <= names


@pytest.mark.parametrize(
    ("classes", "shown", "asks", "names_classes"),
    [("predicted", 5, False, True), ("top:2", 5, False, True), ("all", 5, False, False), ("input", 5, True, True)],
)
def test_settings_are_what_the_file_says(
    *, classes: str, shown: int, asks: bool, names_classes: bool, tiny: Callable[..., Path], tmp_path: Path
) -> None:
    write_site(tiny({"classes": classes}, ending="Softmax"), tmp_path / "page")
    said = config(tmp_path / "page")
    assert (said["choice"], said["shown"], said["classes"]) == (classes, shown, 5)
    assert said["labels"] == ["ant", "bee", "cat", "dog", "eel"]
    assert said["input"] == {"name": "image", "type": "float32"}
    assert said["class_ids"] == ("saliency_class_ids" if asks else None)
    assert said["outputs"]["classes"] == ("saliency_classes" if names_classes else None)
    assert said["activation"] == "softmax"
    assert said["preprocessing"] == {
        "size": [6, 8], "crop": None, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "scale": 1 / 255,
        "color": "rgb", "layout": "nchw",
    }  # fmt: skip


def test_what_the_file_leaves_open_is_settled(
    tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny({"preprocessing": None}, channels_last=True)
    _, err = works(capfd, model, "-o", tmp_path / "page")
    assert err.startswith("No preprocessing in the file: ImageNet's is used.")
    said = config(tmp_path / "page")["preprocessing"]
    assert (said["size"], said["layout"], said["crop"]) == ([6, 8], "nhwc", 0.875)


def test_more_maps_than_rows(tiny: Callable[..., Path], tmp_path: Path) -> None:
    write_site(tiny({"classes": "top:7", "labels": ()}, classes=9), tmp_path / "page")
    assert config(tmp_path / "page")["shown"] == 7


@pytest.mark.parametrize(("given", "shown"), [((), "tiny"), (("--title", "Cats & <dogs>"), "Cats &amp; &lt;dogs&gt;")])
def test_the_title(
    given: tuple[str, ...], shown: str, tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    works(capfd, tiny(), "-o", tmp_path / "page", *given)
    page = (tmp_path / "page" / "index.html").read_text("utf-8")
    assert f"<title>{shown}</title>" in page
    assert f"<h1>{shown}</h1>" in page
    assert "{{" not in page


def test_existing_files_are_kept_unless_told(
    tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, folder = tiny(), tmp_path / "page"
    folder.mkdir()
    (folder / "index.html").write_text("mine")
    (folder / "notes.txt").write_text("mine too")
    line = fails(capfd, model, "-o", folder)
    assert line.endswith("page/index.html: it exists. Replace it with --overwrite, or name another folder.")
    assert files(folder) == {"index.html": b"mine", "notes.txt": b"mine too"}
    works(capfd, model, "-o", folder, "--overwrite")
    assert b"<title>tiny</title>" in files(folder)["index.html"]
    assert files(folder)["notes.txt"] == b"mine too"


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_the_folder_as_it_was(
    there: bool,
    tiny: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, folder = tiny(), tmp_path / "deep" / "page"
    if there:
        works(capfd, model, "-o", folder, "--title", "before")
    before = files(tmp_path)

    def full(source: Path, path: Path) -> None:
        if source.suffix == ".wasm":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        copy(source, path)

    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", full)
    assert "No space left on device" in fails(capfd, model, "-o", folder, "--overwrite")
    assert files(tmp_path) == before
    assert (tmp_path / "deep").exists() == there


def outside(folder: Path) -> Path:
    """An explained file in ``folder`` whose weights are in another file there."""
    onnx.save(Tiny().build(), folder / "plain.onnx", save_as_external_data=True, location="data", size_threshold=0)
    rc.rewrite(folder / "plain.onnx", folder / "my model.onnx", preprocessing=LEVEL)
    return folder / "my model.onnx"


def test_external_data_goes_along(tmp_path: Path) -> None:
    write_site(outside(tmp_path), tmp_path / "page")
    (entry,) = config(tmp_path / "page")["model"]["data"]
    name = "my model.onnx.data"
    weights = (tmp_path / name).read_bytes()
    assert entry == {"path": name, "url": "model/weights/my%20model.onnx.data", "bytes": len(weights)}
    assert (tmp_path / "page" / "model" / "weights" / name).read_bytes() == weights


def test_weights_outside_of_the_model_s_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret").mkdir()
    proto = onnx.load(outside(tmp_path / "secret"), load_external_data=False)
    for entry in (entry for tensor in proto.graph.initializer for entry in tensor.external_data):
        if entry.key == "location":
            entry.value = f"../secret/{entry.value}"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.onnx").write_bytes(proto.SerializeToString())
    line = fails(capfd, tmp_path / "model" / "m.onnx", "-o", tmp_path / "p")
    assert "'../secret/my model.onnx.data' is outside its folder" in line
    assert not (tmp_path / "p").exists()


def test_a_model_larger_than_a_browser_holds(
    tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "MOST_BYTES", 1000)
    line = fails(capfd, tiny(), "-o", tmp_path / "page")
    assert "a browser holds 0.0 GB at most. Take a smaller network, or one with weights of 8 bits" in line


def test_a_plain_model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    onnx.save(Tiny().build(), tmp_path / "plain.onnx")
    line = fails(capfd, tmp_path / "plain.onnx", "-o", tmp_path / "page")
    assert "is a plain model, without saliency. First: onnx-reciprocam rewrite MODEL.onnx -o OUT.onnx" in line
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_no_model(content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert "m.onnx: is no ONNX file, or a damaged one" in fails(capfd, tmp_path / "m.onnx", "-o", tmp_path / "page")
    assert "no such file" in fails(capfd, tmp_path / "none.onnx", "-o", tmp_path / "page")


def test_a_model_that_needs_more_than_a_picture(
    tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = fails(capfd, tiny(vector=True), "-o", tmp_path / "page")
    assert line == "input 'vector': a page has a picture and nothing else to feed; make this input a constant first."


@pytest.mark.parametrize(
    ("preprocessing", "dtype", "shape", "reason"),
    [
        (LEVEL, TensorProto.FLOAT, (1, 12), "has 2 axes, so it takes no pictures"),
        (Preprocessing(**LEVELS), TensorProto.FLOAT, (1, "c", "h", "w"), "does not tell where its channels are"),
        (LEVEL, TensorProto.INT64, None, r"takes tensor(int64); a page feeds tensor(float), "),
        (LEVEL, TensorProto.FLOAT, (4, 3, 6, 8), "the model takes batch 4, got 1"),
        (Preprocessing(size=(6, 8)), TensorProto.UINT8, None, "leave the scaling to the model: mean 0, std 1, scale 1"),
    ],
)
def test_an_input_that_no_picture_fits(
    *,
    preprocessing: Preprocessing,
    dtype: int,
    shape: tuple[int | str, ...] | None,
    reason: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = mirror(tmp_path / "m.onnx", preprocessing, dtype=dtype, shape=shape)
    assert reason in fails(capfd, model, "-o", tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_a_folder_that_is_a_file(tiny: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page").write_text("a file")
    assert "is a file; name a folder." in fails(capfd, tiny(), "-o", tmp_path / "page")


def test_the_palette_is_that_of_our_pictures(tiny: Callable[..., Path], tmp_path: Path) -> None:
    from onnx_reciprocam.visualise import colorize

    write_site(tiny(), tmp_path / "page")
    colors = np.frombuffer(bytes.fromhex(config(tmp_path / "page")["palette"]), np.uint8).reshape(256, 3)
    levels = np.array([[0.0, 0.25, 1.0]])
    np.testing.assert_array_equal(colors[[0, 64, 255]], colorize(levels)[0])
