"""The mark of a finished batch is there when, and only when, all rows are."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
from photo_sets import COUNT, photos, picture, rows_of

from onnx_reciprocam.dataset import Finished, batch, read_finished
from onnx_reciprocam.dataset.finished import FINISHED
from onnx_reciprocam.dataset.parts import Parts
from onnx_reciprocam.errors import SourceError, WriteError
from onnx_reciprocam.runtime.atomic import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

IN_PARTS: dict[str, Any] = {"batch_size": 4, "rows_per_part": 8}


@pytest.fixture
def whole(model: Path, pictures: Path, tmp_path: Path) -> Path:
    batch(model, pictures, tmp_path / "out", **IN_PARTS)
    return tmp_path / "out"


def is_locked(folder: Path) -> bool:
    """As ``flock -n`` asks."""
    handle = os.open(folder / ".lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_it_is_the_last_thing_written(model: Path, pictures: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, bool, bool]] = []

    def look(tally: Any) -> None:
        seen.append((tally.done, read_finished(tmp_path / "out") is not None, is_locked(tmp_path / "out")))

    batch(model, pictures, tmp_path / "out", progress=look, **IN_PARTS)
    assert {marked for _, marked, _ in seen[:-1]} == {False}
    assert seen[-1][:2] == (COUNT, True)
    assert all(locked for _, _, locked in seen)
    assert not is_locked(tmp_path / "out")
    assert read_finished(tmp_path / "out") == Finished(rows=COUNT, parts=3)
    newest = max((path for path in (tmp_path / "out").rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns)
    assert newest.name == FINISHED


def test_who_asks_for_the_lock_stops_no_run(whole: Path, model: Path, pictures: Path) -> None:
    handle = os.open(whole / ".lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    threading.Timer(0.1, os.close, [handle]).start()
    assert batch(model, pictures, whole).earlier == COUNT


def test_it_goes_before_a_part_is_made_again(whole: Path, model: Path, pictures: Path) -> None:
    next((whole / "rows").glob("part-000001-*")).unlink()
    seen: list[bool] = []
    batch(model, pictures, whole, progress=lambda _tally: seen.append((whole / FINISHED).exists()))
    assert seen == [*[False] * (len(seen) - 1), True]


def test_it_goes_before_pictures_are_added(model: Path, tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 16)
    batch(model, source, tmp_path / "out", **IN_PARTS)
    (source / "added.jpg").write_bytes(picture(99))
    seen: list[bool] = []
    batch(model, source, tmp_path / "out", progress=lambda _: seen.append((tmp_path / "out" / FINISHED).exists()))
    assert seen[-1]
    rows = rows_of(tmp_path / "out")
    assert read_finished(tmp_path / "out") == Finished(rows=len(rows), parts=3) == Finished(17, 3)


def test_it_is_gone_while_a_part_is_written(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = photos(tmp_path / "photos", 16)
    batch(model, source, tmp_path / "out", **IN_PARTS)
    (source / "added.jpg").write_bytes(picture(99))
    seen: list[bool] = []

    def watched(path: Path, data: bytes, **how: Any) -> Path:
        seen.append((tmp_path / "out" / FINISHED).exists())
        return write_atomically(path, data, **how)

    monkeypatch.setattr("onnx_reciprocam.dataset.parts.write_atomically", watched)
    batch(model, source, tmp_path / "out")
    assert seen == [False]


@pytest.mark.parametrize("moment", ["before the parts", "after the parts"])
def test_a_run_that_stops_leaves_none(
    moment: str, model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "before the parts":
            patch.setattr(Parts, "write", stop)
        else:
            patch.setattr("onnx_reciprocam.dataset.run.write_finished", stop)
        with pytest.raises(KeyboardInterrupt):
            batch(model, pictures, tmp_path / "out", **IN_PARTS)
    assert read_finished(tmp_path / "out") is None
    tally = batch(model, pictures, tmp_path / "out")
    assert tally.done == (COUNT if moment == "before the parts" else 0)
    assert read_finished(tmp_path / "out") == Finished(rows=COUNT, parts=3)


def test_a_run_that_fails_leaves_none(model: Path, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 16)
    (tmp_path / "list.csv").write_text("file\na.jpg\n")
    with pytest.raises(SourceError, match="names no column 'path'"):
        batch(model, [tmp_path / "photos", tmp_path / "list.csv"], tmp_path / "out", **IN_PARTS)
    assert read_finished(tmp_path / "out") is None


def test_a_machine_that_comes_late_changes_nothing(whole: Path) -> None:
    path = next((whole / "rows").glob("part-000001-*"))
    before = {each: each.stat().st_mtime_ns for each in whole.rglob("*")}
    index, digest = path.name.removeprefix("part-").split(".")[0].split("-")
    Parts(whole, "parquet", 1, {}).write(int(index), digest, [{"path": "x", "error": "late"}])
    assert {each: each.stat().st_mtime_ns for each in whole.rglob("*")} == before


def test_other_pictures_leave_it_alone(model: Path, tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 16)
    batch(model, source, tmp_path / "out", **IN_PARTS)
    shutil.move(source / "000.jpg", source / "zzz.jpg")
    with pytest.raises(WriteError, match="pictures are others than when it was begun"):
        batch(model, source, tmp_path / "out")
    assert read_finished(tmp_path / "out") == Finished(rows=16, parts=2)


def test_without_pictures_it_is_finished_too(model: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    batch(model, tmp_path / "photos", tmp_path / "out")
    assert read_finished(tmp_path / "out") == Finished(rows=0, parts=0)
    assert rows_of(tmp_path / "out") == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 1}', '{"rows": null, "parts": 1}'])
def test_a_damaged_mark_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / FINISHED).write_text(text)
    assert read_finished(tmp_path) is None


def test_a_mark_that_may_come_back_stops_the_run(
    whole: Path, model: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next((whole / "rows").glob("part-000001-*")).unlink()

    def refuse(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError, match=r"finished\.json: input/output error"):
        batch(model, pictures, whole)
