from __future__ import annotations

import contextlib
import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_files import COLOR, COLOR_ALPHA, GREY, GREY_ALPHA, chunk, encode, exif, jpeg_with_exif, png, webp_with_exif

from onnx_reciprocam.errors import ImageError
from onnx_reciprocam.runtime import read_image

if TYPE_CHECKING:
    from pathlib import Path

SEED = np.random.default_rng(0)
BLOCKS = np.array([[[250, 10, 10], [10, 250, 10], [10, 10, 250]], [[10, 10, 10], [250, 250, 250], [250, 250, 10]]])
CORNERS = np.kron(BLOCKS, np.ones((16, 16, 1))).astype(np.uint8)
"""Six colours, 2 down and 3 across, 16 pixels each: every turn of it is another picture."""

TURNED = {
    1: BLOCKS,
    2: np.fliplr(BLOCKS),
    3: np.rot90(BLOCKS, 2),
    4: np.flipud(BLOCKS),
    5: np.rot90(np.fliplr(BLOCKS), 1),
    6: np.rot90(BLOCKS, -1),
    7: np.rot90(np.fliplr(BLOCKS), -1),
    8: np.rot90(BLOCKS, 1),
}
"""Where each colour belongs once the picture is upright, per EXIF orientation."""


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
def test_colours_come_back_in_rgb(ending: str) -> None:
    read = read_image(encode(ending, CORNERS))
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read[8::16, 8::16], BLOCKS, atol=12 if ending == ".jpg" else 0)


def test_a_file_reads_as_its_bytes_do(tmp_path: Path) -> None:
    (path := tmp_path / "a picture.png").write_bytes(encode(".png", CORNERS))
    np.testing.assert_array_equal(read_image(path), CORNERS)
    np.testing.assert_array_equal(read_image(str(path)), CORNERS)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
def test_exif_orientation_is_honoured(ending: str, order: str, orientation: int) -> None:
    block, data = exif(orientation, order), encode(ending, CORNERS)
    if ending == ".jpg":
        data = jpeg_with_exif(data, block)
    elif ending == ".webp":
        data = webp_with_exif(data, 32, 48, block)
    else:
        data = png(CORNERS, COLOR, chunk(b"eXIf", block))
    read = read_image(data)
    assert read.flags.c_contiguous
    np.testing.assert_allclose(read[8::16, 8::16], TURNED[orientation], atol=12 if ending == ".jpg" else 0)


@pytest.mark.parametrize("orientation", TURNED)
def test_jpeg_orientation_agrees_with_opencv(orientation: int) -> None:
    data = jpeg_with_exif(encode(".jpg", CORNERS), exif(orientation))
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read_image(data)[..., ::-1], theirs)


@pytest.mark.parametrize("block", [exif(0), exif(9), b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"nonsense" * 9])
def test_a_strange_exif_block_leaves_the_picture_alone(block: bytes) -> None:
    plain = encode(".jpg", CORNERS)
    np.testing.assert_array_equal(read_image(jpeg_with_exif(plain, block)), read_image(plain))


def test_grey_becomes_rgb() -> None:
    grey = SEED.integers(0, 256, (5, 7, 1), np.uint8)
    np.testing.assert_array_equal(read_image(png(grey, GREY)), np.repeat(grey, 3, axis=-1))


def test_transparency_is_laid_on_white() -> None:
    rgba = SEED.integers(0, 256, (6, 5, 4), np.uint8)
    rgba[0, :2, 3] = 0, 255
    opacity = rgba[..., 3:] / 255
    wanted = rgba[..., :3] * opacity + 255 * (1 - opacity)
    np.testing.assert_allclose(read_image(png(rgba, COLOR_ALPHA)), wanted, atol=0.51)
    np.testing.assert_array_equal(read_image(png(rgba, COLOR_ALPHA))[0, 0], [255, 255, 255])


def test_transparent_grey_is_laid_on_white() -> None:
    pairs = SEED.integers(0, 256, (6, 5, 2), np.uint8)
    opacity = pairs[..., 1:] / 255
    wanted = np.repeat(pairs[..., :1] * opacity + 255 * (1 - opacity), 3, axis=-1)
    np.testing.assert_allclose(read_image(png(pairs, GREY_ALPHA)), wanted, atol=0.51)


@pytest.mark.parametrize(("kind", "samples"), [(GREY, 1), (COLOR, 3)])
def test_sixteen_bits_are_scaled_to_eight(kind: int, samples: int) -> None:
    deep = SEED.integers(0, 65536, (9, 4, samples)).astype(np.uint16)
    deep[0, :2] = [[0], [65535]]
    wanted = np.broadcast_to(deep / 257, (9, 4, 3))
    np.testing.assert_allclose(read_image(png(deep, kind)), wanted, atol=0.51)


def test_sixteen_bits_with_transparency() -> None:
    deep = SEED.integers(0, 65536, (9, 4, 4)).astype(np.uint16)
    opacity = deep[..., 3:] / 65535
    np.testing.assert_allclose(
        read_image(png(deep, COLOR_ALPHA)), deep[..., :3] / 257 * opacity + 255 * (1 - opacity), atol=1.51
    )


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
def test_one_pixel_is_a_picture(ending: str) -> None:
    assert read_image(encode(ending, CORNERS[:1, :1])).shape == (1, 1, 3)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone.png: no such file or directory"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r": is a directory"):
        read_image(tmp_path)
    (empty := tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty.jpg: the file is empty"):
        read_image(empty)
    with pytest.raises(ImageError, match=r"null byte|null character"):
        read_image("a\0b.png")


@pytest.mark.parametrize("data", [b"hello", b"GIF89a" + b"\0" * 99, b"RIFF....WAVE", b"%PDF-1.7", b"BM" + b"\0" * 99])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(ImageError, match="the picture: not a JPEG, PNG or WebP picture"):
        read_image(data)


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_picture(ending: str, share: float, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(ending, SEED.integers(0, 256, (40, 50, 3), np.uint8))
    with pytest.raises(ImageError, match=r"the picture is truncated|damaged"):
        read_image(data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def test_a_colour_profile_is_passed_over_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    broken = chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"no profile"))
    np.testing.assert_array_equal(read_image(png(CORNERS, COLOR, broken)), CORNERS)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_png(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encode(".png", CORNERS))
    data[-30] ^= 0xFF
    with pytest.raises(ImageError, match="the picture is damaged"):
        read_image(bytes(data))
    assert capfd.readouterr() == ("", "")


def _claims(ending: str, side: int) -> bytes:
    """A tiny file whose header claims ``side`` pixels each way."""
    data = encode(ending, CORNERS)
    if ending == ".png":
        return data[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + data[33:]
    if ending == ".webp":
        return webp_with_exif(data, side, side, exif(1))
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", side, side) + data[frame + 9 :]


@pytest.mark.parametrize("ending", [".png", ".webp", ".jpg"])
def test_a_header_that_claims_too_much_is_refused_before_decoding(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="20000x20000 is above 100 megapixels"):
        read_image(_claims(ending, 20000))


@pytest.mark.parametrize("quality", [101, 80])
def test_webp_sizes_of_both_kinds(quality: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cv2.imencode(".webp", CORNERS, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    monkeypatch.setattr("onnx_reciprocam.runtime.images.MAX_PIXELS", 32 * 48 - 1)
    with pytest.raises(ImageError, match="48x32 is above"):
        read_image(data)


@given(cut=st.integers(0, 400), noise=st.binary(max_size=60), ending=st.sampled_from([".png", ".webp", ".jpg"]))
def test_no_bytes_raise_anything_else(cut: int, noise: bytes, ending: str) -> None:
    data = encode(ending, CORNERS)
    with contextlib.suppress(ImageError):
        assert read_image(data[:cut] + noise + data[cut + len(noise) :]).ndim == 3
