"""Pictures as a person meets them: sliders, the enlarged view, what is missing, in Chromium and off the disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from batches import pictured, write_batch
from seen import count, share, texts

from onnx_reciprocam.reporting import report
from onnx_reciprocam.runtime.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.outside


def test_sliders(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    slider = page.locator(".card input").first
    assert share(page, 0) == "100%"
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert (share(page, 0), slider.get_attribute("aria-valuetext")) == ("90%", "90% overlay")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4)
    page.mouse.up()
    assert 45 <= int(share(page, 0).rstrip("%")) <= 55
    assert share(page, 1) == "100%"
    page.locator("#share").fill("25")
    assert {share(page, 0), share(page, 1)} == {"25%"}


def test_pixels_follow_the_slider(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    box = page.locator(".card .compare").first
    page.wait_for_function("[...document.querySelectorAll('.card img')].slice(0, 2).every(each => each.complete)")
    looks = {}
    for covered in (0, 50, 100):
        page.locator(".card input").first.fill(str(covered))
        looks[covered] = _pixels(box.screenshot())
    width = looks[0].shape[1]
    near, far = slice(8, width // 2 - 12), slice(width // 2 + 12, width - 12)
    assert np.abs(looks[0] - looks[100]).mean() > 10
    assert np.abs(looks[50][:, near] - looks[100][:, near]).max() <= 2
    assert np.abs(looks[50][:, far] - looks[0][:, far]).max() <= 2


def test_enlarged(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    page.locator(".card .label").nth(1).press("Enter")
    dialog = page.locator("#enlarged")
    assert dialog.is_visible()
    assert page.text_content("#position") == "2 of 13"
    assert len(texts(page, "#top tr")) == 5
    assert "photo1.jpg" in page.text_content("#facts")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#position") == "3 of 13"
    page.select_option("#map", "1")
    assert page.locator("#facts dd").nth(1).text_content() == texts(page, "#map option")[1]
    page.locator("#enlarged input").fill("30")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert share(page, 2) == "30%"
    assert page.evaluate("document.activeElement.closest('.card').getAttribute('aria-posinset')") == "3"


def test_enlarged_is_drawn_as_the_small_picture(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    for place in (0, 4):  # 4: the network saw a part of it
        page.locator(".card .label").nth(place).click()
        page.wait_for_function("document.querySelector('#stage img').src.includes('pictures/')")
        large = _pixels(page.locator("#stage .compare").screenshot())
        page.keyboard.press("Escape")
        small = _pixels(page.locator(".card .compare").nth(place).screenshot())
        size = small.shape[1::-1]
        shrunk = _resized(large, size)
        inner = (slice(6, -6), slice(6, -14))  # without round corners and the slider's edge
        assert np.abs(shrunk[inner] - small[inner]).mean() < 6


def test_missing_pictures_and_failures_say_so(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    gone = page.locator(".card", has_text="gone.jpg")
    assert gone.locator(".mark").all_text_contents() == ["no picture"]
    assert gone.locator("img").get_attribute("alt").endswith("without the picture")
    assert gone.locator("input").count() == 0
    assert "no finite map" in page.locator(".card", has_text="nan.jpg").text_content()
    gone.locator(".label").click()
    assert "it is no longer there; the map is shown alone" in page.text_content("#facts")
    page.keyboard.press("Escape")
    page.locator(".card", has_text="broken.jpg").locator(".label").click()
    assert page.text_content("#stage") == "the picture is truncated or damaged"


def test_hostile_words_do_nothing(made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page)
    page.select_option("#sort", "path")
    page.fill("#class", "</script>")
    count(page, "1 of 13 rows")
    page.locator(".card .label").click()
    assert "</script><script>" in page.text_content("#title")
    assert page.locator("img[src=x]").count() == 0
    page.keyboard.press("Escape")
    page.fill("#class", "")
    page.select_option("#kind", "failed")
    count(page, "2 of 13 rows")


def test_lost_data_is_said(made: Any, see: Callable[..., Any], tmp_path: Path) -> None:
    folder = shutil.copytree(made.page.parent, tmp_path / "batch")
    shutil.rmtree(folder / "report")
    page = see(folder / "report.html")
    assert "rows-0.js cannot be loaded" in page.text_content("#trouble")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(scheme: str, made: Any, see: Callable[..., Any]) -> None:
    page = see(made.page, width=360, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    ground = _pixels(page.screenshot())[-1, 1].mean()
    assert ground < 100 if scheme == "dark" else ground > 200
    page.locator(".card .label").first.click()
    assert page.evaluate("document.getElementById('enlarged').scrollWidth <= 360")
    assert page.locator("#close").bounding_box()["x"] < 340


def test_a_real_picture_s_address_with_odd_characters(tmp_path: Path, see: Callable[..., Any]) -> None:
    told = pictured(tmp_path / "pictures" / "50% #1? ü.jpg", 1)
    page = see(report(write_batch(tmp_path / "batch", [told])).page)
    page.locator(".card .label").click()
    page.wait_for_function("document.querySelector('#stage img').src.includes('50%25%20%231')")
    assert page.locator("#stage img").first.evaluate("image => image.naturalWidth") == 320


def _pixels(png: bytes) -> np.ndarray:
    return read_image(png).astype(int)


def _resized(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return np.asarray(cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA))
