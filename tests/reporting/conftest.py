from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from batches import HOSTILE, failed, pictured, row, spot, write_batch

from onnx_reciprocam.reporting import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of every kind of row, and the pictures that are still there; not to be written to."""
    folder = tmp_path_factory.mktemp("stock")
    pictures = folder / "pictures"
    rows = [pictured(pictures / f"photo{number}.jpg", number) for number in range(4)]
    rows.append(pictured(pictures / "tall.png", 4, (90, 30), seen=[30.0, 0.0, 30.0, 30.0]))
    rows.append(pictured(pictures / "flat.jpg", 5, map=[0.25] * 98))
    rows.append(pictured(pictures / "gone.jpg", 6))
    rows.append(pictured(pictures / "changed.jpg", 7))
    rows.append(failed(pictures / "broken.jpg", "the picture is truncated or damaged"))
    rows.append(row("nowhere://bucket/photo.jpg", np.stack([spot(1, 5), spot(2, 2)]), [2, 1]))
    rows.append(row(HOSTILE, np.stack([spot(1, 1), spot(3, 3)]), [0, 1], top_labels=[HOSTILE, "b", "c", "d", "e"]))
    rows.append(failed(f"{HOSTILE}/2", HOSTILE))
    rows.append(row("nan.jpg", np.full((2, 7, 7), np.nan, np.float32), [3, 4]))
    (pictures / "gone.jpg").unlink()
    (pictures / "changed.jpg").write_bytes((pictures / "photo0.jpg").read_bytes())
    write_batch(folder / "batch", rows, per_part=5, source=[HOSTILE])
    return folder


@pytest.fixture
def batch(stock: Path, tmp_path: Path) -> Path:
    """Its folder, in one of the test's own."""
    return shutil.copytree(stock / "batch", tmp_path / "batch")


@pytest.fixture(scope="session")
def made(stock: Path) -> Any:
    """A report of it; not to be written to."""
    return report(shutil.copytree(stock / "batch", stock / "made"))


@pytest.fixture
def browser(chromium: Callable[..., Any]) -> Any:
    """Chromium, with nothing of its own to fetch."""
    return chromium()


@pytest.fixture
def see(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page, whose scripts must not fail, nor fetch from anywhere but the disk."""
    pages = []
    wrong: list[str] = []

    def opened(page: Path, width: int = 1280, **how: Any) -> Any:
        seen = browser.new_page(viewport={"width": width, "height": 800}, **how)
        pages.append(seen)
        seen.on("pageerror", lambda error: wrong.append(str(error)))
        seen.on("request", lambda request: wrong.append(request.url) if not request.url.startswith("file:") else None)
        seen.goto(page.as_uri())
        seen.wait_for_function("!/loading/i.test(document.getElementById('count').textContent)")
        return seen

    yield opened
    for seen in pages:
        seen.close()
    assert wrong == []
