from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from explained_models import explained
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from picture_files import encode, exif, jpeg_with_exif

from onnx_reciprocam import ExplainedSession, Explanation, Preprocessing
from onnx_reciprocam.errors import InputError, ShapeMismatchError, WriteError
from onnx_reciprocam.runtime import read_image
from onnx_reciprocam.runtime.scores import probabilities

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64
CELLS = 16
STRETCHED = Preprocessing(size=(SIDE, SIDE), crop=None, mean=(0.0,), std=(1.0,))
CROPPED = Preprocessing(size=(SIDE, SIDE), crop=0.875, mean=(0.0,), std=(1.0,))


def square(height: int, width: int, row: int, column: int, side: int) -> np.ndarray:
    """Black, with a bright blue square centred at ``row, column``."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[row - side // 2 : row + side // 2, column - side // 2 : column + side // 2, 2] = 255
    return picture


def hot_spot(painted: np.ndarray, picture: np.ndarray) -> tuple[float, float]:
    """Centre of what turned red: turbo's largest value, and the picture has no red of its own."""
    red = painted[..., 0].astype(float) * (painted[..., 0] > 0.9 * painted[..., 0].max())
    assert picture[..., 0].max() == 0
    rows, columns = np.mgrid[: red.shape[0], : red.shape[1]]
    return float((rows * red).sum() / red.sum()), float((columns * red).sum() / red.sum())


@pytest.mark.parametrize("preprocessing", [STRETCHED, CROPPED], ids=["stretched", "cropped"])
@pytest.mark.parametrize(
    ("height", "width", "row", "column"),
    [
        (300, 300, 90, 200),
        (240, 480, 70, 300),
        (240, 480, 160, 190),
        (480, 240, 330, 80),
        (480, 240, 180, 150),
        (40, 30, 15, 10),
        (1000, 700, 420, 210),
    ],
)
def test_the_hot_spot_is_on_the_square(
    preprocessing: Preprocessing, height: int, width: int, row: int, column: int
) -> None:
    picture = square(height, width, row, column, side=max(4, min(height, width) // 8))
    session = ExplainedSession(explained(shape=("B", 3, SIDE, SIDE)), preprocessing=preprocessing)
    result = session.explain_image(picture)
    assert result.top(1)[0].label == "blue"
    painted = result.overlay(alpha=1.0)
    assert painted.shape == picture.shape
    cell = max(height, width) / CELLS
    np.testing.assert_allclose(hot_spot(painted, picture), (row, column), atol=cell / 2 + 1)


def test_the_hot_spot_of_a_turned_photograph() -> None:
    """A camera held upright stores its picture lying down; the overlay is as a person sees it."""
    upright = square(480, 240, 150, 90, 40)
    stored = np.rot90(upright)  # orientation 6: turn clockwise to see it
    data = jpeg_with_exif(encode(".jpg", np.ascontiguousarray(stored)), exif(6))
    session = ExplainedSession(explained(shape=("B", 3, SIDE, SIDE)), preprocessing=CROPPED)
    painted = session.explain_image(data).overlay(alpha=1.0)
    assert painted.shape == upright.shape
    np.testing.assert_allclose(hot_spot(painted, upright), (150, 90), atol=480 / CELLS / 2 + 1)


def test_what_the_network_did_not_see_is_darkened() -> None:
    picture = np.full((100, 200, 3), 200, np.uint8)
    session = ExplainedSession(explained(shape=("B", 3, SIDE, SIDE)), preprocessing=CROPPED)
    painted = session.explain_image(picture).overlay()
    assert (painted[:, :50] == 100).all()
    assert (painted[:5] == 100).all()
    assert (painted[10:90, 60:140] == 200).all()  # a constant map leaves the picture as it is


def test_an_overlay_of_an_array_needs_the_picture() -> None:
    batch = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    result = ExplainedSession(explained())(batch)
    picture = np.zeros((50, 40, 3), np.uint8)
    assert result.overlay(picture, index=1).shape == picture.shape
    with pytest.raises(InputError, match="the session was given arrays, so hand the picture to draw on"):
        result.overlay()
    with pytest.raises(ShapeMismatchError, match="the picture has shape"):
        result.overlay(picture[..., 0])
    with pytest.raises(InputError, match="there is no image 2; the batch has 2"):
        result.overlay(picture, index=2)
    with pytest.raises(InputError, match="there is no map 1; each image has 1"):
        result.overlay(picture, rank=1)


def test_a_run_without_maps_has_nothing_to_draw() -> None:
    result = ExplainedSession(explained(toggle=True)).explain_image(np.zeros((8, 8, 3), np.uint8), explain=False)
    with pytest.raises(InputError, match="this run has no maps: it was told explain=False"):
        result.overlay()
    with pytest.raises(InputError, match="this run has no maps"):
        result.figure()
    assert result._repr_png_() is None
    assert len(result.top()) == 4


def test_maps_are_ranked_by_score() -> None:
    """Blue scores best, then green, whatever order the maps stand in."""
    scores = np.array([[0.0, 2.0, 3.0, -1.0]], np.float32)
    maps = np.zeros((1, 3, 2, 2), np.float32)
    for place in range(3):
        maps[0, place].flat[place] = 1
    classes = np.array([[3, 1, 2]], np.int64)
    result = Explanation(scores, maps, classes, {"scores": scores})
    picture = np.zeros((2, 2, 3), np.uint8)
    hottest = [result.overlay(picture, rank=rank, alpha=1.0).sum(-1).argmax() for rank in range(3)]
    assert hottest == [2, 1, 0]


def test_top_classes_are_named() -> None:
    logits = np.array([[0.0, 2.0, 1.0]], np.float32)
    result = Explanation(logits, np.zeros((1, 1, 1, 1), np.float32), np.array([[1]]), {}, ("a", "b"))
    exact = np.exp([2.0, 1.0, 0.0]) / np.exp([2.0, 1.0, 0.0]).sum()
    top = result.top(2)
    assert [(p.class_id, p.label) for p in top] == [(1, "b"), (2, "class 2")]
    np.testing.assert_allclose([p.score for p in top], exact[:2])
    assert len(result.top(99)) == 3


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_left_alone(activation: str) -> None:
    np.testing.assert_array_equal(probabilities(np.array([0.25, 0.95]), activation), [0.25, 0.95])


@pytest.mark.parametrize("activation", ["none", "logsoftmax"])
def test_logits_become_probabilities(activation: str) -> None:
    wanted = [np.exp(-3) / (1 + np.exp(-3)), 1 / (1 + np.exp(-3))]
    np.testing.assert_allclose(probabilities(np.log(wanted), activation), wanted)
    np.testing.assert_allclose(probabilities(np.array([0.0]), activation), [0.5])


@given(arrays.arrays(np.float16, st.integers(1, 9), elements=st.floats(-6e4, 6e4, width=16)))
def test_probabilities_keep_the_order(scores: np.ndarray) -> None:
    found = probabilities(scores, "none")
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(scores, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp"])
def test_a_figure_is_saved_whole(tmp_path: Path, ending: str) -> None:
    result = ExplainedSession(explained()).explain_image(square(60, 90, 30, 30, 20))
    path = result.save(tmp_path / f"why{ending}")
    np.testing.assert_allclose(read_image(path).mean(), result.figure().mean(), atol=1)
    assert list(tmp_path.iterdir()) == [path]
    if ending == ".png":
        assert path.read_bytes() == result._repr_png_()


def test_a_save_replaces_or_fails_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = ExplainedSession(explained()).explain_image(square(60, 90, 30, 30, 20))
    (path := tmp_path / "why.png").write_text("old")
    result.save(path)
    assert read_image(path).shape == result.figure().shape
    with pytest.raises(WriteError, match=r"cannot write .*gone.*: no such file or directory"):
        result.save(tmp_path / "gone" / "why.png")
    with pytest.raises(WriteError, match=r"cannot write .*: not a directory"):
        result.save(path / "why.png")
    (folder := tmp_path / "folder.png").mkdir()
    with pytest.raises(WriteError, match=r"cannot write .*: is a directory"):
        result.save(folder)
    with pytest.raises(WriteError, match=r"the name has to end in .png, .jpg or .webp"):
        result.save(tmp_path / "why.txt")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder.png", "why.png"]
