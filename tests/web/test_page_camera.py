from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from served import Visit

pytestmark = pytest.mark.outside


def test_the_camera(page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]) -> None:
    """Explained again and again until it is stopped; another camera; then a file."""
    seen = visit(page({"classes": "top:2"}), permissions=["camera"]).loaded()
    button = seen.page.locator("#camera")
    button.click()
    seen.page.wait_for_function("() => explained.length > 3")
    assert button.inner_text() == "Stop the camera"
    assert seen.page.evaluate("() => new Set(explained.map(({ scores }) => String(scores))).size") > 1
    assert seen.page.locator("#heat").is_visible()
    assert "is strongest at" in seen.text("#status")
    before = seen.count()
    seen.page.locator("#switch").click()
    seen.page.wait_for_function("before => explained.length > before + 3", arg=before)
    button.click()
    assert button.inner_text() == "Use the camera"
    seen.page.wait_for_timeout(500)  # for the frame at work
    before = seen.count()
    seen.page.wait_for_timeout(1000)
    assert seen.count() == before
    seen.page.locator("#rows input").nth(1).check()
    assert "explained" in seen.page.locator("#rows .row").nth(1).get_attribute("class")
    button.click()
    seen.page.wait_for_function("before => explained.length > before", arg=before)
    seen.page.set_input_files("#file", photos / "rocket.jpg")
    seen.page.wait_for_function("() => explained.at(-1).region.height === 427")  # the photo's, stretched
    assert button.inner_text() == "Use the camera"


def test_choosing_a_class_while_the_camera_runs(page: Callable[..., Path], visit: Callable[..., Visit]) -> None:
    seen = visit(page({"classes": "input"}), permissions=["camera"]).loaded()
    seen.page.locator("#camera").click()
    seen.page.wait_for_function("() => explained.length > 1")
    worst = seen.rows()[-1][0]
    seen.page.locator("#rows input").last.focus()
    seen.page.select_option("#class", label=worst)
    before = seen.count()
    seen.page.wait_for_function("before => explained.length > before + 2", arg=before)
    assert seen.text("#rows .explained .name") == worst
    seen.page.locator("#camera").click()


def test_no_camera(page: Callable[..., Path], visit: Callable[..., Visit]) -> None:
    seen = visit(page(), cameras=0, permissions=["camera"]).loaded()
    seen.page.locator("#camera").click()
    seen.page.wait_for_selector("#error:not(:empty)")
    assert seen.page.get_by_role("alert").inner_text() == "No camera was found on this device."
    assert seen.page.locator("#camera").inner_text() == "Use the camera"


def test_a_camera_that_is_not_allowed(page: Callable[..., Path], visit: Callable[..., Visit]) -> None:
    seen = visit(page()).loaded()
    seen.page.locator("#camera").click()
    seen.page.wait_for_selector("#error:not(:empty)")
    assert seen.page.get_by_role("alert").inner_text().startswith("The camera was not allowed.")


def test_a_page_without_https(page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(page(), host="insecure.test").loaded()
    seen.page.locator("#camera").click()
    seen.page.wait_for_selector("#error:not(:empty)")
    said = "Browsers give a page the camera over HTTPS or from localhost alone."
    assert seen.page.get_by_role("alert").inner_text() == said
    seen.choose(photos / "rocket.jpg")
    assert len(seen.rows()) == 5
