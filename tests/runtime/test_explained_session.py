from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from explained_models import CELL, RAW, WEIGHTS, explained
from onnx import TensorProto, helper
from picture_files import encode

from onnx_reciprocam import ExplainedSession, Preprocessing
from onnx_reciprocam.errors import ImageError, InputError, MetadataError, ModelFileError, NotRewrittenError, OptionError

if TYPE_CHECKING:
    from pathlib import Path

SEED = np.random.default_rng(0)
BATCH = SEED.random((2, 3, 8, 12), np.float32)


def cell_scores(batch: np.ndarray) -> np.ndarray:
    """``[B, classes, h, w]``, by hand."""
    count, channels, height, width = batch.shape
    cells = batch.reshape(count, channels, height // CELL, CELL, width // CELL, CELL).mean((3, 5))
    return np.asarray(np.einsum("kc,bchw->bkhw", WEIGHTS, cells))


def test_one_run_predicts_and_explains() -> None:
    result = ExplainedSession(explained())(BATCH)
    maps = cell_scores(BATCH)
    scores = maps.mean((2, 3))
    np.testing.assert_allclose(result.predictions, scores, rtol=1e-5)
    np.testing.assert_array_equal(result.classes, scores.argmax(1)[:, None])
    np.testing.assert_allclose(result.saliency, np.take_along_axis(maps, result.classes[..., None, None], 1), rtol=1e-5)
    assert result.saliency.dtype == np.float32
    assert set(result.outputs) == {"logits", "vector"}
    assert result.outputs["logits"] is result.predictions
    assert result.labels == ("red", "green", "blue", "black")


def test_every_class_has_a_map() -> None:
    result = ExplainedSession(explained("all"))(BATCH)
    np.testing.assert_allclose(result.saliency, cell_scores(BATCH), rtol=1e-5)
    np.testing.assert_array_equal(result.classes, [[0, 1, 2, 3]] * 2)


def test_classes_asked_for() -> None:
    ids = [[3, 0], [1, 1]]
    result = ExplainedSession(explained("input"))(BATCH, class_ids=ids)
    np.testing.assert_array_equal(result.classes, ids)
    np.testing.assert_allclose(result.saliency, cell_scores(BATCH)[[[0], [1]], ids], rtol=1e-5)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (None, "hand class_ids"),
        ([[4]] * 2, "has 4 to 4; classes count from 0 to below 4"),
        ([[-1]] * 2, "has -1 to -1"),
        ([[0]], "has 1 rows for 2 images"),
        ([0, 1], r"takes \?x\?, got 2; put the batch axis in front"),
        ([[0.5]] * 2, "these numbers do not fit"),
        ([[]] * 2, r"got 2x0"),
    ],
)
def test_classes_that_cannot_be_explained(ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExplainedSession(explained("input"))(BATCH, class_ids=ids)


def test_classes_for_a_file_that_chooses_itself() -> None:
    with pytest.raises(InputError, match="explains classes 'predicted'; rewrite the original with --classes input"):
        ExplainedSession(explained())(BATCH, class_ids=[[0]] * 2)


def test_the_toggle() -> None:
    session = ExplainedSession(explained(toggle=True))
    on, off = session(BATCH), session(BATCH, explain=False)
    np.testing.assert_array_equal(on.predictions, off.predictions)
    assert on.saliency.shape == (2, 1, 2, 3)
    assert off.saliency.shape == (2, 0, 2, 3)
    assert off.classes.shape == (2, 0)


def test_no_toggle() -> None:
    with pytest.raises(InputError, match="this file always explains; rewrite the original with --toggle"):
        ExplainedSession(explained())(BATCH, explain=False)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_floats_take_the_model_s_width(kind: int) -> None:
    result = ExplainedSession(explained(dtype=kind))(BATCH.astype(np.float64))
    np.testing.assert_allclose(result.predictions, cell_scores(BATCH).mean((2, 3)), rtol=2e-3)


def test_bytes_are_taken_when_nothing_is_lost() -> None:
    session = ExplainedSession(explained(dtype=TensorProto.UINT8))
    pixels = SEED.integers(0, 256, (1, 3, 8, 8))
    expected = cell_scores(pixels.astype(np.float32)).mean((2, 3))
    np.testing.assert_allclose(session(pixels.astype(np.float32)).predictions, expected, rtol=1e-5)
    for wrong in (pixels + 0.5, pixels + 300, pixels - 300):
        with pytest.raises(InputError, match=r"takes uint8, and these numbers do not fit it; .*mean 0, std 1, scale 1"):
            session(wrong)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (BATCH[0], r"input 'pixels': takes \?x3x\?x\?, got 3x8x12; put the batch axis in front: array\[None\]"),
        (BATCH[:, :2], "got 2x2x8x12; check size, colour channels and layout"),
        (BATCH[:0], "got 0x3x8x12"),
        (np.float32(1), "got a scalar"),
        (np.where(BATCH > 0.9, np.nan, BATCH), "has NaN or infinite numbers"),
        (BATCH * np.float64(1e200), "has NaN or infinite numbers"),
        (BATCH.astype(str), "takes numbers"),
    ],
)
def test_arrays_that_do_not_fit(batch: np.ndarray, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ExplainedSession(explained())(batch)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"the model does not run on what it was given: .*Add node") as caught:
        ExplainedSession(explained(extra_input=True))(BATCH, bias=np.zeros(3))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_too_large_for_half_precision() -> None:
    with pytest.raises(InputError, match="has NaN or infinite numbers as float16"):
        ExplainedSession(explained(dtype=TensorProto.FLOAT16))(BATCH * 1e6)


def test_an_export_for_one_image() -> None:
    session = ExplainedSession(explained(shape=(1, 3, 8, 12)))
    assert session(BATCH[:1]).saliency.shape == (1, 1, 2, 3)
    with pytest.raises(
        InputError, match="the model takes batch 1, got 2; hand it 1 at a time, or export the model with a"
    ):
        session(BATCH)


def test_further_inputs_go_by_name() -> None:
    session = ExplainedSession(explained(extra_input=True))
    plain = session(BATCH, bias=np.zeros(4)).predictions
    np.testing.assert_allclose(session(BATCH, bias=[1, 2, 3, 4]).predictions - plain, [[1, 2, 3, 4]] * 2, atol=1e-6)
    with pytest.raises(
        InputError, match=r"input 'bias': is missing; hand it by name: session\(batch, \*\*\{'bias': array"
    ):
        session(BATCH)
    with pytest.raises(InputError, match="input 'bios': the model has no such further input; it has bias"):
        session(BATCH, bios=np.zeros(4))
    with pytest.raises(InputError, match="input 'pixels': the model has no such further input"):
        session(BATCH, pixels=BATCH)


def test_a_path_bytes_or_a_session(tmp_path: Path) -> None:
    (path := tmp_path / "model.onnx").write_bytes(explained())
    running = onnxruntime.InferenceSession(explained(), providers=["CPUExecutionProvider"])
    for model in (path, str(path), explained(), running):
        np.testing.assert_array_equal(ExplainedSession(model)(BATCH).classes.shape, (2, 1))
    assert ExplainedSession(running).session is running
    with pytest.raises(OptionError, match="a path or bytes when it comes with providers"):
        ExplainedSession(running, providers=["CPUExecutionProvider"])


def test_files_that_are_no_explained_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone.onnx: no such file"):
        ExplainedSession(tmp_path / "gone.onnx")
    with pytest.raises(ModelFileError, match=r": is a folder"):
        ExplainedSession(tmp_path)
    (junk := tmp_path / "junk.onnx").write_bytes(b"hello world, not a model")
    with pytest.raises(ModelFileError, match=r"junk.onnx: is no ONNX file, or a damaged one"):
        ExplainedSession(junk)
    with pytest.raises(ModelFileError, match="the model: onnxruntime cannot load it: No graph was found"):
        ExplainedSession(b"")


def test_a_plain_or_damaged_model(tmp_path: Path) -> None:
    model = onnx.load_from_string(explained())
    helper.set_model_props(model, {"reciprocam.version": "99"})
    with pytest.raises(MetadataError, match="the model: its reciprocam metadata is unusable"):
        ExplainedSession(model.SerializeToString())
    helper.set_model_props(model, {"author": "someone"})
    onnx.save(model, tmp_path / "plain.onnx")
    with pytest.raises(NotRewrittenError, match=r"plain.onnx is a plain model"):
        ExplainedSession(tmp_path / "plain.onnx")


def test_labels_must_be_as_many_as_classes() -> None:
    assert ExplainedSession(explained(), labels=list("abcd")).labels == ("a", "b", "c", "d")
    assert ExplainedSession(explained(), labels=()).labels == ()
    with pytest.raises(InputError, match="3 names for 4 classes"):
        ExplainedSession(explained(), labels=list("abc"))


def test_preprocessing_is_the_caller_s_then_the_file_s_then_imagenet_s() -> None:
    mine = Preprocessing(size=(8, 8))
    assert ExplainedSession(explained(), preprocessing=mine).preprocessing is mine
    assert ExplainedSession(explained()).preprocessing == RAW
    assert ExplainedSession(explained(preprocessing=None)).preprocessing == Preprocessing()


def test_a_picture_from_a_file_is_the_array_it_decodes_to(tmp_path: Path) -> None:
    picture = SEED.integers(0, 256, (20, 30, 3), np.uint8)
    (path := tmp_path / "p.png").write_bytes(encode(".png", picture))
    session = ExplainedSession(explained("input", shape=("B", 3, 8, 12)))
    results = [session.explain_image(source, class_ids=[2, 3]) for source in (path, path.read_bytes(), picture)]
    for result in results:
        assert result.saliency.shape == (1, 2, 2, 3)
        np.testing.assert_array_equal(result.saliency, results[0].saliency)
        np.testing.assert_array_equal(result.views[0].picture, picture)


@pytest.mark.parametrize("layout_shape", [("B", 3, 8, 12), (1, 3, 8, 12)])
def test_a_picture_equals_its_batch(layout_shape: tuple[int | str, ...]) -> None:
    picture = SEED.integers(0, 256, (8, 12, 3), np.uint8)
    session = ExplainedSession(explained(shape=layout_shape))
    by_hand = session(picture.transpose(2, 0, 1)[None] / 255)
    np.testing.assert_allclose(session.explain_image(picture).saliency, by_hand.saliency, rtol=1e-5)


@pytest.mark.parametrize("classes", ["predicted", "all", "input"])
def test_a_picture_fills_a_fixed_batch(classes: str) -> None:
    picture = SEED.integers(0, 256, (8, 12, 3), np.uint8)
    ids = [2, 0] if classes == "input" else None
    alone, filled = (
        ExplainedSession(explained(classes, shape=(count, 3, 8, 12))).explain_image(picture, class_ids=ids)
        for count in (1, 4)
    )
    for name in ("predictions", "saliency", "classes"):
        np.testing.assert_array_equal(getattr(filled, name), getattr(alone, name))
    assert {name: value.shape for name, value in filled.outputs.items()} == {
        name: value.shape for name, value in alone.outputs.items()
    }


def test_pictures_that_do_not_fit(tmp_path: Path) -> None:
    session = ExplainedSession(explained())
    wrongs: tuple[Any, ...] = (np.zeros((3, 8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), BATCH)
    for wrong in wrongs:
        with pytest.raises(InputError, match=r"a decoded picture is uint8 RGB \[H, W, 3\], got "):
            session.explain_image(wrong)
    with pytest.raises(ImageError, match="no such file"):
        session.explain_image(tmp_path / "gone.png")
    grey = ExplainedSession(explained(), preprocessing=Preprocessing(mean=(0,), std=(1,), color="gray"))
    with pytest.raises(InputError, match=r"takes \?x3x\?x\?, got 1x1x224x224; check size, colour channels"):
        grey.explain_image(np.zeros((8, 8, 3), np.uint8))


def test_threads_share_a_session() -> None:
    session = ExplainedSession(explained("input"))
    batches = [SEED.random((1 + n % 3, 3, 8, 12), np.float32) for n in range(64)]
    ids = [[[n % 4]] * len(batch) for n, batch in enumerate(batches)]
    alone = [session(batch, class_ids=each) for batch, each in zip(batches, ids, strict=True)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda pair: session(pair[0], class_ids=pair[1]), zip(batches, ids, strict=True)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.saliency, other.saliency)
        np.testing.assert_array_equal(one.predictions, other.predictions)
        np.testing.assert_array_equal(one.classes, other.classes)
