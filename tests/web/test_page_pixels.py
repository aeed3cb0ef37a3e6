"""What the network is given by the page equals what Python gives it: files whose maps are their own input tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from mirrors import LEVELS, mirror
from onnx import TensorProto

import onnx_reciprocam as rc
from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.web import write_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from served import Visit

pytestmark = pytest.mark.outside

NOISE = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
HOW = Preprocessing(size=(48, 60), crop=0.875, layout="nchw", **LEVELS)
FITTINGS = {
    "shrinks": ((300, 451), HOW),
    "shrinks by four": ((192, 240), Preprocessing(size=(48, 60), crop=None, layout="nchw", **LEVELS)),
    "shrinks by two": ((96, 120), Preprocessing(size=(48, 60), crop=None, layout="nchw", **LEVELS)),
    "shrinks one side, enlarges the other": (
        (30, 500),
        Preprocessing(size=(48, 60), crop=None, layout="nchw", **LEVELS),
    ),
    "enlarges": ((20, 31), HOW),
    "fits": ((54, 68), HOW),
    "is tall": ((1200, 100), HOW),
    "is one pixel": ((1, 1), HOW),
    "is large": ((1200, 1600), HOW),
    "grey": ((300, 451), Preprocessing(size=(48, 60), layout="nchw", color="gray", **LEVELS)),
    "bgr, channels last": ((300, 451), Preprocessing(size=(48, 60), layout="nhwc", color="bgr", **LEVELS)),
    "ImageNet's numbers": ((300, 451), Preprocessing(size=(48, 60), layout="nchw")),
}


def encoded(ending: str, picture: NDArray[Any], *options: int) -> bytes:
    """RGB in."""
    return bytes(cv2.imencode(ending, picture[..., [2, 1, 0, *range(3, picture.shape[-1])]], options)[1].tobytes())


def oriented(jpeg: bytes, orientation: int) -> bytes:
    """With an EXIF block whose one entry says how to turn it."""
    block = b"Exif\0\0II*\0" + bytes([8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0])
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]


def compare(
    folder: Path, visit: Callable[..., Visit], preprocessing: Preprocessing, data: bytes, ending: str, **file: Any
) -> NDArray[np.float32]:
    """How far the page's input is from Python's, absolutely, per number."""
    model = mirror(folder / "mirror.onnx", preprocessing, **file)
    write_site(model, folder / "page")
    photo = folder / f"photo{ending}"
    photo.write_bytes(data)
    seen = visit(folder / "page").loaded()
    seen.choose(photo)
    assert seen.text("#error") == ""
    expected = rc.ExplainedSession(model).explain_image(photo)
    region = expected.views[0].region
    assert seen.last()["region"] == pytest.approx(region._asdict(), abs=1e-9)
    return np.asarray(np.abs(seen.maps() - expected.saliency[0]))


@pytest.mark.parametrize("case", FITTINGS)
def test_fitting_equals_opencv_s_to_one_level(case: str, tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Sums of many pixels are rounded to levels, and a sum that lies between two of them may go either way."""
    (height, width), preprocessing = FITTINGS[case]
    off = compare(tmp_path, visit, preprocessing, encoded(".png", NOISE[:height, :width]), ".png")
    level = preprocessing.scale / min(preprocessing.std)
    assert off.max() <= level * 1.001
    assert np.count_nonzero(off) <= 1e-3 * off.size


def test_a_png_with_transparency(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """A browser keeps colours multiplied by their opacity, and rounds them once more."""
    opacity = np.linspace(0, 255, 60).astype(np.uint8)[None, :, None].repeat(48, 0)
    picture = np.concatenate([NOISE[:48, :60], opacity], axis=2)
    how = Preprocessing(size=(48, 60), crop=None, layout="nchw", **LEVELS)
    assert compare(tmp_path, visit, how, encoded(".png", picture), ".png").max() <= 2


def test_a_png_of_16_bits(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """Cut to 8 bits by one and rounded by the other."""
    picture = np.random.default_rng(1).integers(0, 65536, (48, 60, 3), np.uint16)
    how = Preprocessing(size=(48, 60), crop=None, layout="nchw", **LEVELS)
    assert compare(tmp_path, visit, how, encoded(".png", picture), ".png").max() <= 1


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """Colours that differ from corner to corner, so that a turn shows, and that any decoder agrees on."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.asarray(np.rint(np.stack([255 * x, 255 * y, 255 * (1 - x) * (1 - y)], axis=2)), np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_upright_as_exif_says(orientation: int, tmp_path: Path, visit: Callable[..., Visit]) -> None:
    """A decoder may round a level otherwise; any wrong turn is off by more than 100."""
    data = oriented(encoded(".jpg", smooth(90, 200), cv2.IMWRITE_JPEG_QUALITY, 100), orientation)
    off = compare(tmp_path, visit, HOW, data, ".jpg")
    assert off.max() <= 3
    assert off.mean() <= 0.5


def test_a_webp(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    data = encoded(".webp", NOISE[:90, :200], cv2.IMWRITE_WEBP_QUALITY, 101)
    assert compare(tmp_path, visit, HOW, data, ".webp").max() <= 1


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8, TensorProto.INT32])
def test_inputs_of_other_types(dtype: int, tmp_path: Path, visit: Callable[..., Visit]) -> None:
    data = encoded(".png", NOISE[:300, :451])
    assert compare(tmp_path, visit, HOW, data, ".png", dtype=dtype).max() <= 1


def test_dynamic_height_and_width(tmp_path: Path, visit: Callable[..., Visit]) -> None:
    data = encoded(".png", NOISE[:300, :451])
    assert compare(tmp_path, visit, HOW, data, ".png", shape=("b", 3, "h", "w")).max() <= 1
