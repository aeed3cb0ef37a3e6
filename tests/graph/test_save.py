"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnx.parser
import pytest

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.graph import check_writable, load, save

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = onnx.parser.parse_model(
    '<ir_version: 8, opset_import: ["": 17]> tiny (float[b, 3] x) => (float[b, 3] y)'
    " <float[3] w = {1.0, 2.0, 3.0}> { y = Mul(x, w) }"
)


def external(folder: Path) -> onnx.ModelProto:
    """The model with its weight in ``folder/w.bin``."""
    model = onnx.ModelProto()
    model.CopyFrom(MODEL)
    tensor = model.graph.initializer[0]
    tensor.raw_data = onnx.numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("float_data")
    onnx.save(model, folder / "source.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return onnx.load(folder / "source.onnx", load_external_data=False)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file(tmp_path: Path) -> None:
    save(MODEL, tmp_path / "new.onnx")
    assert listing(tmp_path) == ["new.onnx"]
    assert onnx.load(tmp_path / "new.onnx") == MODEL


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(b"precious")
    with pytest.raises(WriteError, match=r"old\.onnx: it exists\. Replace it with --overwrite"):
        save(MODEL, path)
    assert path.read_bytes() == b"precious"
    assert listing(tmp_path) == ["old.onnx"]


@pytest.mark.parametrize("taken", ["new.onnx", "new.onnx.data"])
def test_of_two_runs_that_write_one_new_file_the_later_fails(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source := tmp_path / "source").mkdir()
    (folder := tmp_path / "out").mkdir()
    sync = os.fsync

    def meanwhile(handle: int) -> None:
        sync(handle)
        (folder / taken).write_bytes(b"the other run's")

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(WriteError, match=rf"{taken}: it exists\. Replace it with --overwrite"):
        save(external(source), folder / "new.onnx", source_folder=source)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {taken: b"the other run's"}


def test_a_disk_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    save(MODEL, tmp_path / "new.onnx")
    assert onnx.load(tmp_path / "new.onnx") == MODEL
    assert listing(tmp_path) == ["new.onnx"]


def test_an_existing_file_is_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_bytes(b"rubbish")
    save(MODEL, path, overwrite=True)
    assert onnx.load(path) == MODEL
    assert listing(tmp_path) == ["old.onnx"]


def test_the_data_of_two_models_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    model = external(tmp_path)
    before = model.SerializeToString()
    for name in ("a.onnx", "b.onnx"):
        save(model, tmp_path / "out" / name, source_folder=tmp_path)
        assert onnx.numpy_helper.to_array(onnx.load(tmp_path / "out" / name).graph.initializer[0]).tolist() == [1, 2, 3]
    assert listing(tmp_path / "out") == ["a.onnx", "a.onnx.data", "b.onnx", "b.onnx.data"]
    assert model.SerializeToString() == before


def _fails(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("step", ["copy the weights", "write the model", "flush", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    (tmp_path / "out").mkdir()
    model = external(tmp_path)
    place, name = {
        "copy the weights": (shutil, "copyfile"),
        "write the model": (Path, "write_bytes"),
        "flush": (os, "fsync"),
        "rename": (Path, "replace"),
    }[step]
    monkeypatch.setattr(place, name, _fails(code))
    if step == "rename":
        monkeypatch.setattr(os, "link", _fails(code))
    with pytest.raises(WriteError, match=rf"cannot write .*new\.onnx: {os.strerror(code)}\."):
        save(model, tmp_path / "out" / "new.onnx", source_folder=tmp_path)
    assert listing(tmp_path / "out") == []


@pytest.mark.parametrize("step", ["write the model", "flush", "rename"])
def test_a_failure_in_the_middle_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "old.onnx"
    with path.open("wb") as stream:
        stream.write(b"precious")
    place, name = {"write the model": (Path, "write_bytes"), "flush": (os, "fsync"), "rename": (Path, "replace")}[step]
    monkeypatch.setattr(place, name, _fails(errno.ENOSPC))
    with pytest.raises(WriteError, match="No space left on device"):
        save(MODEL, path, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert listing(tmp_path) == ["old.onnx"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt("stop")

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        save(MODEL, tmp_path / "new.onnx")
    assert listing(tmp_path) == []


def test_every_byte_is_on_the_disk_before_the_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    flush, link = os.fsync, os.link

    def noted_flush(descriptor: int) -> None:
        steps.append("flush")
        flush(descriptor)

    def noted_link(source: Path, target: Path) -> None:
        steps.append(f"{target.name} appears")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(os, "link", noted_link)
    save(external(tmp_path), tmp_path / "new.onnx", source_folder=tmp_path)
    assert steps == ["flush", "flush", "new.onnx.data appears", "new.onnx appears"]


def test_the_weights_are_gone(tmp_path: Path) -> None:
    model = external(tmp_path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(WriteError, match=r"new\.onnx: No such file or directory"):
        save(model, tmp_path / "new.onnx", source_folder=tmp_path)
    assert listing(tmp_path) == ["source.onnx"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="it is a folder; name a file"):
        check_writable(tmp_path, overwrite=True)


def test_the_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"no folder .*nowhere'; make it first"):
        check_writable(tmp_path / "nowhere" / "new.onnx", overwrite=False)
    assert not (tmp_path / "nowhere").exists()


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"no folder .*file'; make it first"):
        check_writable(tmp_path / "file" / "new.onnx", overwrite=False)


def test_the_folder_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(WriteError, match="no permission to write in its folder"):
        check_writable(tmp_path / "new.onnx", overwrite=False)


def test_a_folder_that_takes_no_files() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(WriteError, match=r"cannot write /proc/self/new\.onnx"):
        save(MODEL, Path("/proc/self/new.onnx"))


def test_a_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="File name too long"):
        check_writable(tmp_path / ("x" * 300), overwrite=False)


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WriteError, match="it is a device or a pipe"):
        save(MODEL, tmp_path / "pipe", overwrite=True)
    assert (tmp_path / "pipe").is_fifo()


def test_what_was_loaded_is_saved_unchanged(tmp_path: Path) -> None:
    save(load(MODEL.SerializeToString()).proto, tmp_path / "new.onnx")
    assert (tmp_path / "new.onnx").read_bytes() == MODEL.SerializeToString()
