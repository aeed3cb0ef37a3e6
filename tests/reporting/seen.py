"""What a page shows."""

from __future__ import annotations

from typing import Any


def texts(page: Any, selector: str) -> list[str]:
    return [str(text) for text in page.locator(selector).all_text_contents()]


def count(page: Any, wanted: str) -> None:
    page.wait_for_function("wanted => document.getElementById('count').textContent === wanted", arg=wanted)


def share(page: Any, card: int) -> str:
    """How much of a card's picture its map covers."""
    return str(page.locator(".card .compare").nth(card).evaluate("box => box.style.getPropertyValue('--share')"))
