"""A folder served on loopback, and its page in Chromium."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
PATIENCE = 60_000  # milliseconds, on a machine that is busy with other tests

RECORD = """
window.explained = [];
document.addEventListener("explained", ({ detail }) => window.explained.push({
  scores: [...detail.scores], chances: [...detail.chances], grid: detail.grid, region: detail.region,
  maps: detail.maps.map(({ classId, values }) => ({ classId, values: [...values] })),
}));
"""
"""Keeps what the page says of every explanation."""


@contextmanager
def serving(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a folder, served by Python's own server."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Visit:
    """A page of ours that is open.

    Args:
        page: playwright's.
        address: Where it was opened.
    """

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.add_init_script(RECORD)
        page.goto(address)

    def loaded(self) -> Visit:
        """Once the model is there."""
        self.page.wait_for_selector("#loading", state="hidden")
        return self

    def choose(self, *files: Path) -> None:
        """Through the button, and wait for the explanation or the complaint."""
        before = self.count()
        self.page.evaluate("() => { document.getElementById('error').textContent = ''; }")  # the last file's
        self.page.set_input_files("#file", files)
        self.settled(before)

    def settled(self, before: int) -> None:
        """Wait until there are more explanations than ``before``, or an error is shown."""
        self.page.wait_for_function(
            "before => explained.length > before || document.getElementById('error').textContent", arg=before
        )

    def count(self) -> int:
        """Explanations so far."""
        return int(self.page.evaluate("() => explained.length"))

    def last(self) -> dict[str, Any]:
        """The last explanation, as the page's event has it."""
        return dict(self.page.evaluate("() => explained.at(-1)"))

    def maps(self) -> NDArray[np.float32]:
        """``[K, H, W]`` of the last explanation."""
        found = self.last()
        return np.array([each["values"] for each in found["maps"]], np.float32).reshape(-1, *found["grid"])

    def text(self, selector: str) -> str:
        """What stands there, blanks and line breaks as single spaces."""
        return " ".join(self.page.inner_text(selector).split())

    def rows(self) -> list[Sequence[str]]:
        """Label and probability of the classes that are listed."""
        names, shares = (self.page.locator(f"#rows .{part}").all_inner_texts() for part in ("name", "share"))
        return list(zip(names, shares, strict=True))

    def foreign(self) -> list[str]:
        """Requests that left for elsewhere."""
        return [url for url in self.requests if not url.startswith((self.address, f"blob:{self.address}"))]
