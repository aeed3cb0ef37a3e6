"""What marks an object, and what is said where nothing does."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest
from evaluations import PREPARED, QUICK, how
from pictures import COUNT, data_set, network

from onnx_reciprocam import metrics
from onnx_reciprocam.errors import InputError
from onnx_reciprocam.evaluation import Protocol, evaluate
from onnx_reciprocam.evaluation.masks import read_mask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MARKED = np.zeros((5, 7), bool)
MARKED[1:3, 2:6] = True
CUT_OUT = np.dstack([np.full((5, 7, 3), 255), MARKED * 255])
SPELLINGS = {
    "8 bits": MARKED * np.uint8(255),
    "1 of 255": MARKED * np.uint8(1),
    "16 bits": MARKED * np.uint16(1),
    "blue": np.dstack([MARKED * 9, np.zeros((5, 7, 2))]).astype(np.uint8),
    "white but for its transparency": CUT_OUT.astype(np.uint8),
    "black but for its object": np.dstack([MARKED[..., None].repeat(3, 2) * 200, np.full((5, 7), 255)]).astype(
        np.uint8
    ),
}


@pytest.mark.parametrize("stored", SPELLINGS.values(), ids=SPELLINGS)
def test_masks_of_all_kinds(stored: NDArray[np.integer], tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    assert cv2.imwrite(str(path), stored)
    np.testing.assert_array_equal(read_mask(path), MARKED)


def test_what_is_wrong_with_a_mask_names_the_mask(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    cv2.imwrite(str(source.parent / "01.mask.png"), np.zeros((26, 30), np.uint8))
    (source.parent / "03.mask.png").write_bytes(b"text")
    found = evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert list(found.failures.values()) == [
        f"{source.parent}/01.mask.png: the mask marks nothing; make it above 0 on the object, or remove it",
        f"{source.parent}/03.mask.png: not a JPEG, PNG or WebP picture",
    ]
    assert found.lines[0].figures["drop"].pictures == COUNT - 2


def test_a_damaged_picture_with_a_box_is_left_out(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    (source.parent / "00.png").write_bytes(b"text")
    source.write_text('path,label,box\n00.png,0,"1,1,9,9"\n01.png,0,"1,1,9,9"\n')
    found = evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert list(found.failures.values()) == ["not a JPEG, PNG or WebP picture"]
    assert found.lines[0].figures["drop"].pictures == 1


def test_nobody_points_where_no_prediction_is_the_label(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    guesses = {
        row["path"]: row["predicted"] for row in evaluate(plain, source, tmp_path / "all", **how(["activation"])).rows
    }
    lines = [f'{path},{(guess + 1) % 5},"1,1,9,9"' for path, guess in guesses.items()]
    source.write_text("\n".join(["path,label,box", *lines]))
    found = evaluate(plain, source, tmp_path / "out", **how(["activation"], Protocol(metrics=("pointing", "energy"))))
    assert not found.failures
    assert not found.lines[0].figures
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Nothing was measured: no picture shows the network a box or a mask of the explained class." in page
    found = evaluate(plain, source, tmp_path / "rest", **how(["activation"], QUICK))
    assert set(found.lines[0].figures).isdisjoint({"pointing", "energy"})
    page = (tmp_path / "rest" / "report.html").read_text("utf-8")
    assert "Point, Energy: no picture shows the network a box or a mask of the explained class" in page


def test_a_picture_named_in_two_ways_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    whole = f"path,label\n{source.parent / '00.png'},0\n"
    source.write_text(whole)
    evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    monkeypatch.chdir(tmp_path)
    source.write_text("path,label\n00.png,0\n00.png,1\n")
    found = evaluate(plain, "data/data.csv", tmp_path / "out", **how(["activation"]))
    assert len(found.rows) == 2
    assert found.lines[0].figures["drop"].pictures == 1


def test_a_method_named_twice_is_measured_once(tmp_path: Path) -> None:
    found = evaluate(
        network(tmp_path), data_set(tmp_path / "data"), tmp_path / "out", **how(["activation", "activation"])
    )
    assert len(found.rows) == COUNT


def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    data_set(tmp_path / "data")
    (folder := tmp_path / "odd").mkdir()
    (tmp_path / "data" / "00.png").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    found = evaluate(network(tmp_path), tmp_path / "odd", tmp_path / "out", **how(["activation"]))
    assert [row["path"] for row in found.rows] == [f"{tmp_path}/odd/caf\\xe9.png"]
    assert found.lines[0].figures["drop"].pictures == 1


def test_a_network_whose_scores_are_nan(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    model = onnx.load(plain)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(*_broken(model.graph.initializer[0])))
    onnx.save(model, plain)
    found = evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert set(found.failures.values()) == {
        "input 'the picture': the network's probabilities for it are NaN; look at the preprocessing and the file."
    }


def _broken(weight: onnx.TensorProto) -> tuple[NDArray[np.floating], str]:
    return np.full_like(onnx.numpy_helper.to_array(weight), np.nan), weight.name


def test_a_network_of_other_channels_is_refused_at_once(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    gray = replace(PREPARED, color="gray", mean=(0.5,), std=(0.2,))
    with pytest.raises(InputError, match="channels: 3, of gray pictures 1; say --color rgb or bgr"):
        evaluate(plain, source, tmp_path / "out", preprocessing=gray)
    assert not (tmp_path / "out").exists()


def test_an_image_without_boxes_has_an_empty_mask() -> None:
    masks = metrics.box_masks([[(1, 1, 3, 2)], []], 3, 4)
    assert masks.sum((1, 2)).tolist() == [2, 0]
