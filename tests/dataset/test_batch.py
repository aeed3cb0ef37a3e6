from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from photo_sets import BAD, COUNT, contents, explained, photos, plain, rows_of

import onnx_reciprocam as rc
from onnx_reciprocam.dataset import batch, explain_dataset, read_rows
from onnx_reciprocam.dataset.formats import FORMATS
from onnx_reciprocam.errors import OptionError, WriteError
from onnx_reciprocam.result_folder import locked

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_every_row_is_what_one_picture_alone_gives(model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, pictures, tmp_path / "out", batch_size=4)
    session = rc.ExplainedSession(model)
    rows = rows_of(tmp_path / "out")
    assert [Path(row["path"]).name for row in rows] == list(contents())
    for index, row in enumerate(rows):
        if index in BAD:
            continue
        alone = session.explain_image(row["path"])
        assert row["error"] is None
        assert row["map_shape"] == list(alone.saliency.shape[1:])
        np.testing.assert_allclose(row["map"], alone.saliency.reshape(-1), atol=1e-5)
        assert row["classes"] == alone.classes[0].tolist()
        assert row["top_classes"] == [each.class_id for each in alone.top()]
        np.testing.assert_allclose(row["top_scores"], [each.score for each in alone.top()], rtol=1e-5)
        assert (row["height"], row["width"], row["seen"]) == (30, 40, list(alone.views[0].region))
        assert row["sha256"] == hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest()
        assert row["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()


def test_what_is_no_picture_is_a_row_with_its_error(model: Path, pictures: Path, tmp_path: Path) -> None:
    tally = batch(model, pictures, tmp_path / "out")
    failed = {i: row for i, row in enumerate(rows_of(tmp_path / "out")) if row["error"]}
    assert {i: row["error"] for i, row in failed.items()} == BAD
    assert all(row["map"] is None and row["classes"] is None for row in failed.values())
    assert (tally.done, tally.failed, list(tally.failures.values())) == (COUNT, len(BAD), list(BAD.values()))


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_holds_the_same_rows(form: str, model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, pictures, tmp_path / form, form=form, batch_size=4, rows_per_part=8)
    batch(model, pictures, tmp_path / "reference", batch_size=4, rows_per_part=8)
    assert rows_of(tmp_path / form) == rows_of(tmp_path / "reference")
    assert len(list((tmp_path / form / "rows").iterdir())) == 3


@pytest.mark.parametrize("form", FORMATS)
def test_a_part_without_a_single_picture(form: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("a text")
    batch(model, tmp_path / "photos", tmp_path / "out", form=form)
    (row,) = rows_of(tmp_path / "out")
    assert (row["error"], row["map"], row["top_labels"]) == ("not a JPEG, PNG or WebP picture", None, None)


def test_npz_is_read_with_numpy_alone(model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, pictures, tmp_path / "out", form="npz")
    (part,) = (tmp_path / "out" / "rows").iterdir()
    with np.load(part, allow_pickle=False) as arrays:
        assert arrays["map"].shape == (COUNT, *rows_of(tmp_path / "out")[0]["map_shape"])
        assert np.isnan(arrays["map"][[*BAD]]).all()
        assert arrays["top_classes"].dtype == np.int32


def test_the_stream_has_the_rows_of_the_folder(model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, pictures, tmp_path / "out", batch_size=3, rows_per_part=9)
    batches = list(explain_dataset(model, pictures, rows=9, batch_size=3))
    assert [each.num_rows for each in batches] == [9, 9, 5]
    streamed = [row for each in batches for row in each.to_pylist()]
    kept = [row for each in read_rows(tmp_path / "out") for row in each.to_pylist()]
    for row in (*streamed, *kept):
        del row["seconds"]
        row["settings"] = {"form": row["settings"]}
    assert [row | {"settings": 0} for row in streamed] == [row | {"settings": 0} for row in kept]


def test_threads_change_nothing(model: Path, pictures: Path, tmp_path: Path) -> None:
    for threads in (1, 5):
        batch(model, pictures, tmp_path / str(threads), threads=threads, batch_size=2, rows_per_part=6)
    assert rows_of(tmp_path / "1") == rows_of(tmp_path / "5")


def test_a_plain_model_is_rewritten_on_the_fly(pictures: Path, tmp_path: Path) -> None:
    model = plain(tmp_path)
    batch(model, pictures, tmp_path / "plain", batch_size=4, classes="top:2", mask="gaussian")
    batch(explained(tmp_path, classes="top:2", mask="gaussian"), pictures, tmp_path / "out", batch_size=4)
    rows = rows_of(tmp_path / "plain")
    assert rows[0]["map_shape"][0] == 2
    assert [row["map"] for row in rows] == [row["map"] for row in rows_of(tmp_path / "out")]


def test_classes_that_the_caller_names(pictures: Path, tmp_path: Path) -> None:
    batch(plain(tmp_path), pictures, tmp_path / "out", class_ids=[2, 0])
    assert rows_of(tmp_path / "out")[0]["classes"] == [2, 0]
    with pytest.raises(OptionError, match="a class number from 0 to 4"):
        batch(plain(tmp_path), pictures, tmp_path / "out2", class_ids=[5])
    with pytest.raises(OptionError, match="nothing: this file explains classes 'predicted'"):
        batch(explained(tmp_path), pictures, tmp_path / "out3", class_ids=[1])
    assert not (tmp_path / "out3" / "settings.json").exists()


def test_a_black_box_method(pictures: Path, tmp_path: Path) -> None:
    batch(plain(tmp_path), pictures, tmp_path / "out", method="occlusion")
    rows = rows_of(tmp_path / "out")
    session = rc.explainer(plain(tmp_path), "occlusion")
    np.testing.assert_allclose(rows[0]["map"], session.explain_image(rows[0]["path"]).saliency.reshape(-1), atol=1e-5)
    assert rows[0]["method"] == "occlusion"
    assert [bool(row["error"]) for row in rows] == [i in BAD for i in range(COUNT)]


def test_a_fixed_batch_is_filled_up(pictures: Path, tmp_path: Path) -> None:
    batch(plain(tmp_path, batch=4), pictures, tmp_path / "fixed")
    batch(plain(tmp_path), pictures, tmp_path / "free", batch_size=4)
    for fixed, free in zip(rows_of(tmp_path / "fixed"), rows_of(tmp_path / "free"), strict=True):
        assert fixed["error"] == free["error"]
        if fixed["map"]:
            np.testing.assert_allclose(fixed["map"], free["map"], atol=1e-5)
    with pytest.raises(OptionError, match="4, which is all that this model takes"):
        batch(plain(tmp_path, batch=4), pictures, tmp_path / "other", batch_size=2)


def test_overlays_show_the_picture_under_its_map(model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, pictures, tmp_path / "out", overlays=True, rows_per_part=10)
    session = rc.ExplainedSession(model)
    rows = rows_of(tmp_path / "out")
    assert [row["overlay"] is None for row in rows] == [i in BAD for i in range(COUNT)]
    assert rows[12]["overlay"] == "overlays/000001/000002.jpg"
    drawn = cv2.imread(str(tmp_path / "out" / rows[12]["overlay"]))[..., ::-1].astype(int)
    expected = session.explain_image(rows[12]["path"]).overlay().astype(int)
    bare = session.prepare(rows[12]["path"])[1].picture.astype(int)
    assert np.abs(drawn - expected).mean() < 6  # JPEG
    assert np.abs(drawn - bare).mean() > 20


def test_numbers_that_overflow_are_an_error_of_their_row(pictures: Path, tmp_path: Path) -> None:
    hot = rc.Preprocessing(mean=(0.0,), std=(1.0,), scale=1e36)
    tally = batch(explained(tmp_path), pictures, tmp_path / "out", preprocessing=hot)
    errors = {row["error"] for i, row in enumerate(rows_of(tmp_path / "out")) if i not in BAD}
    assert tally.failed == COUNT
    assert len(errors) == 1
    assert "NaN or infinite" in errors.pop()


def test_weights_in_another_file_are_part_of_the_model(pictures: Path, tmp_path: Path) -> None:
    model = onnx.load(explained(tmp_path))
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=200)
    batch(tmp_path / "outside.onnx", pictures, tmp_path / "out")
    whole = (tmp_path / "outside.onnx").read_bytes() + (tmp_path / "weights.bin").read_bytes()
    assert rows_of(tmp_path / "out")[0]["model_sha256"] == hashlib.sha256(whole).hexdigest()
    weights = bytearray((tmp_path / "weights.bin").read_bytes())
    weights[1] ^= 1
    (tmp_path / "weights.bin").write_bytes(weights)
    with pytest.raises(WriteError, match="with model_sha256"):
        batch(tmp_path / "outside.onnx", pictures, tmp_path / "out")


@pytest.fixture
def begun(model: Path, pictures: Path, tmp_path: Path) -> Path:
    batch(model, pictures, tmp_path / "out", batch_size=4, rows_per_part=8)
    return tmp_path / "out"


def test_the_same_call_does_nothing_twice(begun: Path, model: Path, pictures: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in begun.rglob("*")}
    tally = batch(model, pictures, begun)
    assert (tally.done, tally.earlier, tally.total) == (0, COUNT, COUNT)
    assert {path: path.stat().st_mtime_ns for path in begun.rglob("*")} == before


def test_a_part_that_is_missing_is_made_again_bit_for_bit(begun: Path, model: Path, pictures: Path) -> None:
    rows = rows_of(begun)
    (begun / "rows").joinpath(next(path.name for path in (begun / "rows").glob("part-000001-*"))).unlink()
    tally = batch(model, pictures, begun)
    assert (tally.done, tally.earlier) == (8, 15)
    assert rows_of(begun) == rows


@pytest.fixture
def call(model: Path, pictures: Path) -> dict[str, Any]:
    return {"model": model, "source": pictures}


def _other_model(folder: Path) -> dict[str, Any]:
    return {"model": explained(folder, classes="top:2")}


def _other_source(folder: Path) -> dict[str, Any]:
    return {"source": photos(folder / "elsewhere")}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"form": "npz"}, 'with format "parquet", now "npz"'),
        ({"batch_size": 5}, "with batch_size 4, now 5"),
        ({"overlays": True}, "with overlays false, now true"),
        ({"preprocessing": rc.Preprocessing(crop=None)}, "with preprocessing.crop 0.875, now null"),
        (_other_model, "with model_sha256"),
        (_other_source, "with source"),
    ],
    ids=["format", "batch size", "overlays", "preprocessing", "model", "source"],
)
def test_other_settings_are_refused(changes: Any, reason: str, begun: Path, call: dict[str, Any]) -> None:
    changed = changes(begun.parent) if callable(changes) else changes
    with pytest.raises(WriteError, match=reason):
        batch(**(call | {"folder": begun} | changed))


def test_other_pictures_are_refused(model: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    batch(model, folder, tmp_path / "out", rows_per_part=8, batch_size=4)
    (folder / "000.jpg").rename(folder / "zzz.jpg")
    with pytest.raises(WriteError, match="pictures are others than when it was begun"):
        batch(model, folder, tmp_path / "out")
    for path in sorted(folder.iterdir())[4:]:
        path.unlink()
    (folder / "zzz.jpg").unlink(missing_ok=True)
    with pytest.raises(WriteError, match="pictures are others than when it was begun"):
        batch(model, folder, tmp_path / "out")


def test_two_runs_do_not_share_a_folder(model: Path, pictures: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "out", "batch"), pytest.raises(WriteError, match="another run is writing there"):
        batch(model, pictures, tmp_path / "out")


def test_results_within_the_source_are_refused(model: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", 3)
    with pytest.raises(WriteError, match="it lies in the source"):
        batch(model, folder, folder / "out")
    assert not (folder / "out").exists()


def test_settings_tell_all(begun: Path) -> None:
    settings = json.loads((begun / "settings.json").read_text())
    assert settings["batch_size"] == 4
    assert settings["rows_per_part"] == 8
    assert settings["method"] == "reciprocam"


def test_progress_counts_up(model: Path, pictures: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    tally = batch(model, pictures, tmp_path / "out", batch_size=2, progress=lambda told: seen.append(told.done))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1], tally.total) == (2, COUNT, COUNT)


def test_more_is_never_read_ahead_than_threads_need() -> None:
    from onnx_reciprocam.work_ahead import in_order

    taken = 0

    def stream() -> Iterator[int]:
        nonlocal taken
        for i in range(10_000):
            taken = i
            yield i

    found = in_order(lambda x: 2 * x, stream(), 2)
    assert [next(found) for _ in range(100)] == [(i, 2 * i) for i in range(100)]
    assert taken < 110
