"""A report is its batch, row by row: what is drawn, what is said, and what goes wrong in one line."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batches import HOSTILE, failed, pictured, write_batch
from page_data import cards, data_of

import onnx_reciprocam as rc
from onnx_reciprocam import visualise
from onnx_reciprocam.errors import MissingPackageError, OptionError, SourceError, WriteError
from onnx_reciprocam.reporting import Report
from onnx_reciprocam.reporting import report as make
from onnx_reciprocam.reporting.batch_folder import Row
from onnx_reciprocam.reporting.cards import Place, card
from onnx_reciprocam.reporting.originals import Originals
from onnx_reciprocam.runtime.images import read_image


def drawn(path: Path) -> np.ndarray:
    return read_image(path).astype(int)


def by_name(page: Path) -> dict[str, dict[str, Any]]:
    return {Path(each["path"]).name: each for each in cards(page)}


def test_counts(made: Report) -> None:
    assert (made.rows, made.shown, made.failed, made.flat, made.gone) == (13, 13, 2, 1, 5)
    assert "13 rows:\n11 explained, 2 failed, 1 with a flat map, 5 without the picture." in made.page.read_text()


def test_rows_are_the_batch_s_in_its_order(made: Report) -> None:
    parts = sorted((made.page.parent / "rows").iterdir())
    told = [each for part in parts for each in pq.read_table(part).to_pylist()]
    shown = cards(made.page)
    assert [each["path"] for each in shown] == [each["path"] for each in told]
    for row, each in zip(told, shown, strict=True):
        if row["error"] is not None:
            assert each == {"path": row["path"], "error": row["error"]}
            continue
        assert each["top"] == [list(pair) for pair in zip(row["top_labels"], row["top_scores"], strict=True)]
        assert each["maps"][0]["label"] == each["top"][0][0]


def test_an_overlay_is_the_map_on_the_small_picture(made: Report, stock: Path) -> None:
    parts = sorted((made.page.parent / "rows").iterdir())
    told = {row["path"]: row for part in parts for row in pq.read_table(part).to_pylist()}
    for name in ("photo0.jpg", "photo3.jpg", "tall.png"):
        path = stock / "pictures" / name
        row, each = told[str(path)], by_name(made.page)[name]
        picture = read_image(path)
        scale = 320 / max(picture.shape[:2])
        size = tuple(round(side * scale) for side in picture.shape[1::-1])
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        saliency = np.asarray(row["map"], np.float32).reshape(row["map_shape"])[0]
        seen = row["seen"] and visualise.Region(*(value * scale for value in row["seen"]))
        wanted = visualise.overlay(small, saliency, 0.7, seen)
        data = data_of(made.page)
        assert each["shape"] == list(small.shape[1::-1])
        assert np.abs(drawn(data / each["picture"]) - small).mean() < 3  # a JPEG's loss
        assert np.abs(drawn(data / each["maps"][0]["file"]) - wanted).mean() < 4
        assert each["original"] == f"./../pictures/{name}"
        assert (made.page.parent / each["original"]).resolve() == path.resolve()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.jpg", "it is no longer there"),
        ("changed.jpg", "it has changed since"),
        ("photo.jpg", "Protocol not known: nowhere; name a local path or a URL that fsspec knows"),
    ],
)
def test_without_the_picture_the_map_stands_alone(made: Report, name: str, reason: str) -> None:
    each = by_name(made.page)[name]
    assert each["gone"] == reason
    assert "picture" not in each
    picture = drawn(data_of(made.page) / each["maps"][0]["file"])
    assert list(picture.shape[1::-1]) == each["shape"]
    assert picture.max() > 200


def test_flat_and_unusable_maps_are_told_apart(made: Report) -> None:
    flat, unusable, usual = (by_name(made.page)[name] for name in ("flat.jpg", "nan.jpg", "photo0.jpg"))
    assert (flat["flat"], flat["maps"][0]["entropy"], bool(flat["maps"][0]["file"])) == (True, 1.0, True)
    assert (unusable["flat"], unusable["maps"][0]["entropy"], unusable["maps"][0]["file"]) == (False, None, "")
    assert not usual["flat"]
    assert 0 < usual["maps"][0]["entropy"] < 1


def test_a_row_without_maps_is_no_explanation(tmp_path: Path) -> None:
    told = Row({"path": "a.jpg", "error": None}, np.zeros((0, 7, 7), np.float32))
    assert card(told, Originals(tmp_path), Place(tmp_path, "0")) == {"path": "a.jpg", "error": "it has no map"}


def test_hostile_words_are_only_words(made: Report) -> None:
    page = made.page.read_text()
    scripts = len(re.findall(r"<script", page))
    assert scripts == 2  # the plan, and the page's own
    assert HOSTILE not in page
    assert "&lt;/script&gt;" in page  # the source, among the settings
    read = cards(made.page)
    assert {HOSTILE, f"{HOSTILE}/2"} <= {each["path"] for each in read}
    assert HOSTILE in {each.get("error") for each in read}


def test_nothing_is_loaded_from_elsewhere(made: Report) -> None:
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", made.page.read_text())


def test_the_new_page_replaces_the_old_one_whole(batch: Path) -> None:
    first = data_of(make(batch).page)
    (batch / "report" / "mine").mkdir()
    second = data_of(make(batch).page)
    assert first != second
    assert not first.exists()
    assert {path for path in (batch / "report").iterdir() if path.is_dir()} == {batch / "report" / "mine", second}


def test_a_run_that_fails_leaves_the_old_page(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(batch).page.read_text()
    kept = sorted(path for path in batch.rglob("*") if path.is_file())

    def full(*_: object) -> None:
        raise WriteError("rows-0.js", "no space left on device")

    monkeypatch.setattr("onnx_reciprocam.reporting.run._write_rows", full)
    with pytest.raises(WriteError, match="no space left"):
        make(batch)
    assert (batch / "report.html").read_text() == before
    assert sorted(path for path in batch.rglob("*") if path.is_file()) == kept


def test_a_moved_batch_still_finds_pictures_named_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = pictured(tmp_path / "batch" / "pictures" / "one.jpg", 1, path="pictures/one.jpg")
    write_batch(tmp_path / "batch", [told])
    monkeypatch.chdir(tmp_path)
    found = make("batch")
    assert found.gone == 0
    assert cards(found.page)[0]["original"] == "./pictures/one.jpg"
    (tmp_path / "pictures").symlink_to(tmp_path / "batch" / "pictures")
    (tmp_path / "results").mkdir()
    (tmp_path / "batch").rename(tmp_path / "results" / "batch")
    (tmp_path / "pictures").unlink()
    (tmp_path / "results" / "batch" / "pictures").rename(tmp_path / "pictures")
    monkeypatch.chdir("/")
    found = make(tmp_path / "results" / "batch")
    assert found.gone == 0
    assert cards(found.page)[0]["original"] == "./../../pictures/one.jpg"


@pytest.mark.parametrize("limit", [1, 3, 7, 13, 20])
def test_a_limit_takes_rows_evenly(limit: int, batch: Path) -> None:
    calls: list[tuple[int, int]] = []
    found = make(batch, limit=limit, progress=lambda done, total, _: calls.append((done, total)))
    shown = min(limit, 13)
    assert (found.rows, found.shown, len(cards(found.page))) == (13, shown, shown)
    assert calls == [(number, shown) for number in range(1, shown + 1)]
    every = [each["path"] for part in sorted((batch / "rows").iterdir()) for each in pq.read_table(part).to_pylist()]
    places = [every.index(each["path"]) for each in cards(found.page)]
    assert set(np.diff(places)) <= {13 // shown, 13 // shown + 1}


def test_rows_come_in_files_of_500(tmp_path: Path) -> None:
    write_batch(tmp_path, [failed(f"{number}.jpg", "not a picture") for number in range(1001)], per_part=300)
    found = make(tmp_path)
    assert [len(list(data_of(found.page).glob(f"rows-{chunk}.js"))) for chunk in range(4)] == [1, 1, 1, 0]
    assert [each["path"] for each in cards(found.page)] == [f"{number}.jpg" for number in range(1001)]


def test_it_is_in_the_package_s_own_namespace() -> None:
    assert rc.report is make


def test_what_is_no_batch(tmp_path: Path) -> None:
    for folder, told in ((tmp_path, "holds no batch"), (tmp_path / "none", "there is no such folder")):
        with pytest.raises(SourceError, match=rf"{told}\. Make one: onnx-reciprocam batch"):
            make(folder)
    for text, told in (("{", "it is damaged"), ("[]", "something else than a batch"), ("{}", "something else")):
        (tmp_path / "settings.json").write_text(text)
        with pytest.raises(SourceError, match=told):
            make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"settings.json"}


def test_an_empty_batch(tmp_path: Path) -> None:
    write_batch(tmp_path, [])
    with pytest.raises(SourceError, match="no rows in it yet"):
        make(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "middle", "columns"])
def test_a_damaged_part(damage: str, batch: Path) -> None:
    part = batch / "rows" / "part-000001-0123abcd.parquet"
    whole = part.read_bytes()
    if damage == "cut":
        part.write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        part.write_text("no table at all")
    elif damage == "middle":
        part.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    else:
        pq.write_table(pa.table({"path": ["a.jpg"]}), part)
    with pytest.raises(SourceError, match=r"part-000001|no classes, error, map, map_shape, top_classes"):
        make(batch)
    assert not (batch / "report.html").exists()
    assert not [path for path in (batch / "report").glob("*") if path.is_dir()]


def test_a_limit_below_one(batch: Path) -> None:
    with pytest.raises(OptionError, match="--limit does not take '0'"):
        make(batch, limit=0)


@pytest.mark.parametrize("package", ["jinja2", "pyarrow", "filelock"])
def test_a_missing_package(package: str, batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"needs {package}\. .*onnx-reciprocam\[batch\]"):
        make(batch)
    assert not (batch / "report.html").exists()


def test_a_page_that_cannot_be_written(batch: Path) -> None:
    (batch / "report").write_text("a file in the way")
    with pytest.raises(WriteError, match="report"):
        make(batch)
    shutil.rmtree(batch / "rows")
    with pytest.raises(SourceError, match="no rows"):
        make(batch)
