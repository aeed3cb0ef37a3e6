"""The page as a person meets it: filters, order and keys, in Chromium and off the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from batches import LABELS, failed, row, spot, write_batch
from seen import count, texts

from onnx_reciprocam.reporting import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.outside
MANY = 5000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of thousands of rows."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(MANY):
            path = f"shelf{number % 7}/{number:05}.jpg"
            if number % 100 == 50:
                yield failed(path, "the picture is truncated or damaged")
                continue
            maps = (
                np.zeros((1, 7, 7)) if number % 100 == 20 else spot(*rng.integers(0, 7, 2), rng.uniform(0.5, 9))[None]
            )
            yield row(path, maps, [number % len(LABELS)], float(rng.uniform(0.3, 1)), height=30, width=40)

    write_batch(folder, rows(), per_part=1000)
    return report(folder).page


def test_thousands_of_rows_are_few_elements(many: Path, see: Callable[..., Any]) -> None:
    page = see(many)
    count(page, "5,000 rows")
    sizes = []
    for place in ("0", "document.body.scrollHeight / 2", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo(0, {place})")
        page.wait_for_timeout(200)
        sizes.append(page.evaluate("document.querySelectorAll('*').length"))
        assert page.evaluate("document.elementFromPoint(200, 600).closest('.card') !== null")
    assert max(sizes) < 800
    assert page.locator(".card").last.get_attribute("aria-posinset") == "5000"
    assert page.locator(".card").last.get_attribute("aria-setsize") == "5000"


def test_kinds(many: Path, see: Callable[..., Any]) -> None:
    page = see(many)
    for kind, wanted in (("failed", 50), ("flat", 50), ("explained", 4950), ("gone", 4950)):
        page.select_option("#kind", kind)
        count(page, f"{wanted:,} of 5,000 rows")
    page.select_option("#kind", "failed")
    assert set(texts(page, ".card .error")) == {"the picture is truncated or damaged"}
    page.click("button[type=reset]")
    count(page, "5,000 rows")


def test_class_and_path(many: Path, see: Callable[..., Any]) -> None:
    page = see(many)
    page.fill("#class", "TEA")
    count(page, f"{sum(n % 7 == 3 and n % 100 != 50 for n in range(MANY)):,} of 5,000 rows")
    assert set(texts(page, ".card .label")) == {"teapot"}
    assert page.locator("#classes option").evaluate_all("all => all.map(each => each.value)") == ["teapot"]
    page.fill("#class", "teapot")
    page.fill("#path", "SHELF3/0001")
    names = [f"{n:05}.jpg" for n in range(10, 20) if n % 7 == 3]
    count(page, f"{len(names)} of 5,000 rows")
    assert texts(page, ".card .file") == names
    page.fill("#class", "no such class")
    count(page, "No row of 5,000 fits")


@pytest.mark.parametrize(
    ("order", "read"),
    [
        ("sure", lambda text: -float(text.rstrip("%"))),
        ("unsure", lambda text: float(text.rstrip("%"))),
        ("focused", lambda text: float(text.split()[1])),
        ("spread", lambda text: -float(text.split()[1])),
    ],
)
def test_orders(order: str, read: Callable[[str], float], many: Path, see: Callable[..., Any]) -> None:
    page = see(many)
    page.select_option("#sort", order)
    selector = ".card .line > span" if "sure" in order else ".card .marks > span:first-child"
    values = [read(text) for text in texts(page, selector)]
    assert len(values) > 10
    assert values == sorted(values)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("document.querySelector('.card:last-child').getAttribute('aria-posinset') === '5000'")
    assert page.locator(".card").last.locator(".label").text_content() == "Not explained"


def test_a_bar_of_the_histogram_filters(many: Path, see: Callable[..., Any]) -> None:
    page = see(many)
    bars = page.locator("#histogram button")
    counts = [int(bar.get_attribute("aria-label").split(": ")[1].split()[0].replace(",", "")) for bar in bars.all()]
    assert sum(counts) == 4950
    assert counts[:3] == [0, 0, 0]
    bars.nth(9).click()
    count(page, f"{counts[9]:,} of 5,000 rows")
    assert min(float(text.rstrip("%")) for text in texts(page, ".card .line > span")) >= 90
    bars.nth(9).press("Enter")
    count(page, "5,000 rows")


def test_the_keyboard_walks_beyond_the_window(many: Path, see: Callable[..., Any]) -> None:
    page = see(many, width=360)
    page.locator(".card .label").first.focus()
    for _ in range(30):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.card').getAttribute('aria-posinset')") == "31"
    page.evaluate("scrollTo(0, 30000)")
    page.wait_for_timeout(200)
    assert page.evaluate("document.activeElement.closest('.card').getAttribute('aria-posinset')") == "31"
