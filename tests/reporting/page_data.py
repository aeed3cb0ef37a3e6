"""What a page reads from the folder beside it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def data_of(page: Path) -> Path:
    """The folder that a page reads its rows from."""
    plan = re.search(r'id="plan">(.*?)</script>', page.read_text())
    assert plan
    return page.parent / str(json.loads(plan[1])["data"])


def cards(page: Path) -> list[dict[str, Any]]:
    """The rows as the page reads them."""
    chunks = sorted(data_of(page).glob("rows-*.js"), key=lambda path: int(path.stem.removeprefix("rows-")))
    read: list[dict[str, Any]] = []
    for number, path in enumerate(chunks):
        call = re.fullmatch(rf"reportRows\({number}, (.*)\);\n", path.read_text())
        assert call
        read += json.loads(call[1])
    return read
