"""Weights outside the file: the written file takes its own copies along and runs from wherever it is put."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.errors import ModelFileError, UnsupportedModelError, WriteError

if TYPE_CHECKING:
    from pathlib import Path

LAYOUTS = ["one file", "many files", "a folder deeper"]


def write(folder: Path, layout: str = "one file", model: onnx.ModelProto | None = None) -> Path:
    """A plain model with all its weights outside."""
    folder.mkdir(exist_ok=True)
    path = folder / "plain.onnx"
    model = model or Tiny().build()
    if layout == "a folder deeper":
        (folder / "weights").mkdir()
    location = {"one file": "plain.data", "many files": None, "a folder deeper": "weights/all.bin"}[layout]
    onnx.save(
        model,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=location is not None,
        location=location,
        size_threshold=0,
    )
    return path


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("folder", ["same", "other"])
def test_the_written_file_stands_alone(tmp_path: Path, layout: str, folder: str) -> None:
    plain = write(tmp_path / "source", layout)
    before, original = content(plain.parent), onnx.load(plain)
    destination = tmp_path / ("source" if folder == "same" else "other") / "explained.onnx"
    destination.parent.mkdir(exist_ok=True)
    rc.rewrite(plain, destination)
    onnx.checker.check_model(str(destination), full_check=True)
    found = rc.verify(destination, plain, batches=(2,))
    assert found.passed, str(found)
    after = content(plain.parent)
    assert {name: after[name] for name in before} == before

    alone = tmp_path / "alone"
    alone.mkdir()
    for file in destination.parent.glob("explained.onnx*"):
        shutil.move(file, alone / file.name)
    shutil.rmtree(tmp_path / "source")
    session = ort.InferenceSession(alone / "explained.onnx")
    assert session.run(["saliency"], {"image": np.ones((1, 3, 6, 8), np.float32)})[0].shape == (1, 1, 3, 4)
    rc.strip(alone / "explained.onnx", tmp_path / "stripped.onnx")
    assert onnx.load(tmp_path / "stripped.onnx") == original


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_returned_refers_to_the_originals_data(tmp_path: Path, layout: str) -> None:
    plain = write(tmp_path / "source", layout)
    returned = rc.rewrite(plain, tmp_path / "explained.onnx")
    original = onnx.load(plain, load_external_data=False)
    assert list(returned.graph.initializer)[: len(original.graph.initializer)] == list(original.graph.initializer)
    assert rc.strip(tmp_path / "explained.onnx").graph.node == original.graph.node


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_can_be_written_over_itself(tmp_path: Path, layout: str) -> None:
    path, again = write(tmp_path / "source", layout), write(tmp_path / "again", layout)
    rc.rewrite(path, path, overwrite=True)
    found = rc.verify(path, again, batches=(2,))
    assert found.passed, str(found)
    rc.strip(path, path, overwrite=True)
    assert onnx.load(path) == onnx.load(again)


def test_a_data_file_of_another_model_is_kept(tmp_path: Path) -> None:
    plain = write(tmp_path / "source")
    other = tmp_path / "explained.onnx.data"
    other.write_bytes(b"somebody's weights")
    with pytest.raises(WriteError, match=r"explained\.onnx\.data: it exists"):
        rc.rewrite(plain, tmp_path / "explained.onnx")
    assert content(tmp_path) == {"explained.onnx.data": b"somebody's weights"} | {
        f"source/{name}": data for name, data in content(plain.parent).items()
    }


def test_a_model_that_is_a_link_has_its_data_beside_the_link(tmp_path: Path) -> None:
    plain = write(tmp_path / "source")
    (tmp_path / "store").mkdir()
    plain.rename(tmp_path / "store" / "0123abcd")
    plain.symlink_to(tmp_path / "store" / "0123abcd")
    rc.rewrite(plain, tmp_path / "explained.onnx")
    found = rc.verify(tmp_path / "explained.onnx", plain, batches=(1,))
    assert found.passed, str(found)


def test_half_of_the_weights_may_be_outside(tmp_path: Path) -> None:
    plain = tmp_path / "plain.onnx"
    onnx.save(Tiny().build(), plain, save_as_external_data=True, location="big.bin", size_threshold=200)
    rc.rewrite(plain, tmp_path / "explained.onnx", toggle=True)
    found = rc.verify(tmp_path / "explained.onnx", plain, batches=(2,))
    assert found.passed, str(found)


def test_missing_data_is_named(tmp_path: Path) -> None:
    plain = write(tmp_path / "source")
    (plain.parent / "plain.data").unlink()
    with pytest.raises(ModelFileError, match=r"plain\.onnx: its external data .*plain\.data' is missing"):
        rc.rewrite(plain)


def test_a_model_in_memory_cannot_refer_to_files(tmp_path: Path) -> None:
    plain = write(tmp_path / "source")
    for source in (plain.read_bytes(), onnx.load(plain, load_external_data=False)):
        with pytest.raises(ModelFileError, match=r"the model: keeps its weights in external files: pass the path"):
            rc.rewrite(source)


def test_an_external_tensor_without_a_place_is_missing(tmp_path: Path) -> None:
    model = Tiny().build()
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "plain.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match=r"external data .* is missing"):
        rc.rewrite(tmp_path / "plain.onnx")


def test_data_outside_the_folder_is_refused(tmp_path: Path) -> None:
    plain = write(tmp_path / "source")
    model = onnx.load(plain, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../plain.data"
    (plain.parent / "plain.data").rename(tmp_path / "plain.data")
    plain.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match=r"'\.\./plain\.data' is outside its folder"):
        rc.rewrite(plain)


def test_constant_nodes_with_external_values_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.onnx"
    model = Tiny(constants=True).build()
    onnx.save(model, plain, save_as_external_data=True, location="c.bin", size_threshold=0, convert_attribute=True)
    with pytest.raises(
        UnsupportedModelError, match=r"Constant 'Constant_conv0\.weight' in an external file.*onnx\.load"
    ):
        rc.rewrite(plain)
