"""What tests in several folders need."""

from __future__ import annotations

import os
import shutil
from functools import wraps
from typing import TYPE_CHECKING, Any

import onnxruntime
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update")  # fmt: skip


def pytest_configure() -> None:
    """Tests that run side by side have one thread per session: onnxruntime's idle threads spin, and take the others' cores."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    opened = onnxruntime.InferenceSession.__init__

    @wraps(opened)
    def with_one_thread(self: Any, model: Any, sess_options: Any = None, *others: Any, **named: Any) -> None:
        options = sess_options or onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.intra_op_num_threads or 1
        opened(self, model, options, *others, **named)

    onnxruntime.InferenceSession.__init__ = with_one_thread


@pytest.fixture(scope="session")
def chromium() -> Iterator[Callable[..., Any]]:
    """Starts Chromium as Debian packages it with further arguments, once for each set of them.

    A process can have one Playwright, so all tests share it.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("these tests need Playwright: pip install 'onnx-reciprocam[browser]'")
    path = shutil.which("chromium")
    assert path, "these tests need Chromium: apt-get install chromium"
    started: dict[tuple[str, ...], Any] = {}
    with sync_playwright() as playwright:

        def launch(*arguments: str) -> Any:
            if arguments not in started:
                started[arguments] = playwright.chromium.launch(
                    executable_path=path, chromium_sandbox=False, args=[*QUIET, *arguments]
                )
            return started[arguments]

        yield launch
        for browser in started.values():
            browser.close()
