"""The page as people use it: keys alone, a phone's width, a screen reader's view, a camera, and what goes wrong."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from onnx_reciprocam.web import write_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from served import Visit

pytestmark = pytest.mark.outside

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
NARROW = {"width": 360, "height": 740}
LONG = ("a label much longer than any screen of a phone is wide", "Donaudampfschifffahrtsgesellschaftskapitaen" * 2)


def hand(seen: Visit, event: str, *parts: dict[str, str]) -> None:
    """Drop or paste: a file, ``{name, data}`` in base64, or a ``text``."""
    seen.page.evaluate(
        """([event, parts]) => {
            const data = new DataTransfer();
            for (const { name, data: text64, text } of parts) {
                if (text !== undefined) data.setData("text/plain", text);
                else data.items.add(new File([Uint8Array.from(atob(text64), (c) => c.charCodeAt(0))], name));
            }
            const how = { bubbles: true, cancelable: true };
            const made = event === "paste"
                ? new ClipboardEvent(event, { ...how, clipboardData: data })
                : new DragEvent(event, { ...how, dataTransfer: data });
            document.getElementById("stage").dispatchEvent(made);
        }""",
        [event, list(parts)],
    )


def packed(path: Path) -> dict[str, str]:
    return {"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()}


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_dropped_or_pasted(
    event: str, page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(page()).loaded()
    if event == "drop":
        hand(seen, "dragover")
        assert seen.page.evaluate("() => document.body.className") == "dropping"
    hand(seen, event, packed(photos / "rocket.jpg"))
    seen.settled(0)
    assert len(seen.rows()) == 5
    assert seen.text("#error") == ""
    assert seen.page.evaluate("() => document.body.className") == ""


def test_a_picture_that_comes_before_the_model(
    page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(page())
    seen.choose(photos / "rocket.jpg")
    assert len(seen.rows()) == 5


def test_of_several_pictures_the_last_stays(
    site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(site("predicted")).loaded()
    for name in ("coffee.png", "rocket.jpg", "chelsea.png"):
        hand(seen, "drop", packed(photos / name))
    seen.page.wait_for_function("() => /cat|tabby/.test(document.getElementById('status').textContent)")
    seen.page.wait_for_timeout(2000)  # for any other to come late
    assert "cat" in seen.text("#rows .explained")


def test_keys_alone(page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(page({"classes": "all"})).loaded()
    seen.page.on("filechooser", lambda _: None)  # so that none opens a window of its own

    def on(selector: str) -> None:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("selector => document.activeElement.matches(selector)", selector)
        ring = "() => [document.activeElement, document.activeElement.parentElement].map(e => getComputedStyle(e).outlineStyle)"
        assert "solid" in seen.page.evaluate(ring)

    on("#file")
    with seen.page.expect_file_chooser() as chooser:
        seen.page.keyboard.press("Enter")
    chooser.value.set_files(photos / "rocket.jpg")
    seen.settled(0)
    best, second = (name for name, _ in seen.rows()[:2])
    on("#camera")
    on("#rows input:checked")
    seen.page.keyboard.press("ArrowDown")
    assert seen.text("#rows .explained .name") == second
    assert f"The heat map of {second} is strongest at" in seen.text("#status")
    assert seen.page.evaluate("() => document.activeElement.matches('#rows input:checked')")
    seen.page.keyboard.press("ArrowUp")
    assert seen.text("#rows .explained .name") == best
    on("#class")
    seen.page.keyboard.press("e")
    assert seen.text("#rows .explained .name") == "eel"
    on("#opacity")
    seen.page.keyboard.press("ArrowRight")
    assert seen.text("#percent") == "65%"
    assert seen.page.evaluate("() => getComputedStyle(document.getElementById('heat')).opacity") == "0.65"


def test_what_a_screen_reader_hears(site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(site("top:3")).loaded()
    assert seen.page.get_by_role("status").inner_text() == "Ready for a picture."
    seen.choose(photos / "chelsea.png")
    best = seen.rows()[0][0]
    assert (
        seen.page.get_by_role("img").get_attribute("aria-label").startswith(f"Your picture with the heat map of {best}")
    )
    assert seen.page.get_by_role("radio", name=best).is_checked()
    assert seen.page.get_by_role("radio").count() == 3
    assert seen.page.get_by_role("group", name="Classes; choose one to explain").count() == 1
    assert seen.page.get_by_role("slider", name="Heat map opacity").get_attribute("aria-valuetext") == "60 percent"
    assert seen.page.get_by_role("status").inner_text().startswith(f"{best}, ")
    assert seen.page.get_by_role("heading", level=1).count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(
    width: int, scheme: str, page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    """Of any impact, in every state: loading done, a result, an error."""
    assert AXE.is_file(), f"these tests need axe-core: npm ci --ignore-scripts in {Path(__file__).parent}"
    seen = visit(page({"classes": "all"}), color_scheme=scheme, viewport={"width": width, "height": 800}).loaded()
    seen.page.evaluate(AXE.read_text("utf-8"))

    def violations() -> list[str]:
        found = seen.page.evaluate("async () => (await axe.run()).violations")
        return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html']}" for each in found]

    assert violations() == []
    seen.choose(photos / "rocket.jpg")
    assert violations() == []
    hand(seen, "paste", {"text": "no picture"})
    assert violations() == []


def test_a_phone_s_width(page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]) -> None:
    labels = (*LONG, "c", "d", "e")
    seen = visit(page({"classes": "input", "labels": labels}, title="A".join(LONG)), viewport=NARROW)

    def fits() -> bool:
        return bool(seen.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"))

    assert fits()
    assert seen.loaded().page.evaluate("() => innerWidth") == 360
    assert fits()
    for photo in ("rocket.jpg", "chelsea.png"):
        seen.choose(photos / photo)
        assert fits()
    hand(seen, "drop", {"text": "no picture"})
    assert fits()


@pytest.mark.parametrize(
    ("content", "name"), [(b"", "empty.png"), (b"no picture", "text.jpg"), (b"\x89PNG\r\n\x1a\n", "half.png")]
)
def test_a_file_that_is_no_picture(
    *, content: bytes, name: str, page: Callable[..., Path], photos: Path, tmp_path: Path, visit: Callable[..., Visit]
) -> None:
    (tmp_path / name).write_bytes(content)
    seen = visit(page()).loaded()
    seen.choose(tmp_path / name)
    assert seen.page.get_by_role("alert").inner_text() == f"“{name}” is no picture that this browser can read."
    seen.choose(photos / "rocket.jpg")
    assert seen.text("#error") == ""
    assert len(seen.rows()) == 5


@pytest.mark.parametrize(
    ("event", "said"), [("drop", "What you dropped is no picture file."), ("paste", "The clipboard holds no picture.")]
)
def test_a_text_dropped_or_pasted(
    event: str, said: str, page: Callable[..., Path], visit: Callable[..., Visit]
) -> None:
    seen = visit(page()).loaded()
    hand(seen, event, {"text": "hello"})
    assert seen.page.get_by_role("alert").inner_text() == said


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model/model.onnx", None, "The model did not load: model/model.onnx is not there (404 File not found)."),
        ("model/model.onnx", b"no model", "The model did not load: "),
        ("onnxruntime/ort-wasm-simd-threaded.wasm", None, "The model did not load: "),
        ("worker.js", None, "The model did not load: "),
        ("config.json", None, "The page is not whole: config.json is not there (404)."),
        ("config.json", b"{", "The page is not whole: "),
    ],
)
def test_a_folder_that_is_not_whole(
    *, file: str, content: bytes | None, said: str, page: Callable[..., Path], visit: Callable[..., Visit], photos: Path
) -> None:
    folder = page()
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    seen = visit(folder).loaded()
    seen.page.wait_for_selector("#error:not(:empty)")
    assert seen.page.get_by_role("alert").inner_text().startswith(said)
    if file != "config.json":
        seen.choose(photos / "rocket.jpg")
        assert seen.page.get_by_role("alert").inner_text().startswith(said)
        assert seen.count() == 0
    seen.wrong.clear()  # what the browser itself says of missing files


def test_external_data(tmp_path: Path, photos: Path, visit: Callable[..., Visit]) -> None:
    from test_web_command import outside

    write_site(outside(tmp_path), tmp_path / "page")
    seen = visit(tmp_path / "page").loaded()
    seen.choose(photos / "rocket.jpg")
    assert len(seen.rows()) == 5


@pytest.mark.parametrize("how", [{"toggle": True}, {"upsample": "input"}, {"normalize": "none", "labels": ()}])
def test_other_options_of_the_rewrite(
    how: dict[str, Any], page: Callable[..., Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(page(how)).loaded()
    seen.choose(photos / "rocket.jpg")
    assert seen.text("#error") == ""
    assert len(seen.rows()) == 5
    assert len(seen.maps()) == 1
    assert seen.page.locator("#heat").is_visible()


def test_the_page_s_own_policy_lets_it_work(
    launched: Callable[..., Any],
    page: Callable[..., Path],
    photos: Path,
    runtime: None,  # noqa: ARG001 - what pages need
) -> None:
    """Other tests are let past it, for their own sake."""
    from served import Visit, serving

    with serving(page()) as address, launched().new_context() as context:
        seen = Visit(context.new_page(), address).loaded()
        seen.page.set_input_files("#file", photos / "rocket.jpg")
        seen.page.wait_for_selector("#results:visible")
        assert len(seen.rows()) == 5
        refused = seen.page.evaluate("() => fetch('https://example.com/').then(() => 'sent', (error) => error.name)")
        assert refused == "TypeError"
        assert any("violates the document's Content Security Policy" in line for line in seen.wrong), json.dumps(
            seen.wrong
        )


def test_a_page_opened_as_a_file(launched: Callable[..., Any], page: Callable[..., Path]) -> None:
    """No module loads; the page itself says what to do."""
    folder = page()
    with launched().new_context() as context:
        opened = context.new_page()
        opened.goto((folder / "index.html").as_uri())
        opened.wait_for_selector("text=python -m http.server", state="visible")
    shutil.rmtree(folder)
