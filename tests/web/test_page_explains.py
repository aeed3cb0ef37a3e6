"""Real photos on the real page: classes and maps equal onnxruntime's from Python.

Browsers and OpenCV decode a PNG alike and the page resizes as OpenCV does (test_page_pixels.py), so the network is given the
same numbers. What is left is the order of sums in other kernels, those for WebAssembly: measured 2e-6 of a map's range at most.
A JPEG's pixels may differ by a level, as decoders round: measured 1e-4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from served import ISOLATED

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from served import Visit

    from onnx_reciprocam import Explanation

pytestmark = pytest.mark.outside

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png")
NEAR, NEAR_JPEG = 1e-5, 1e-3


def same(seen: Visit, expected: Explanation, near: float = NEAR) -> None:
    """Best classes as they are listed, all probabilities, the explained classes and their maps."""
    assert [label for label, _ in seen.rows()[:5]] == [each.label for each in expected.top(5)]
    shares = [float(share.rstrip("%")) / 100 for _, share in seen.rows()[:5]]
    np.testing.assert_allclose(shares, [each.score for each in expected.top(5)], rtol=0, atol=0.0005 + near)
    found = seen.last()
    ours = {each["classId"]: np.array(each["values"]).reshape(found["grid"]) for each in found["maps"]}
    theirs = dict(zip(expected.classes[0].tolist(), expected.saliency[0], strict=True))
    assert set(ours) == set(theirs)
    for class_id, values in theirs.items():
        np.testing.assert_allclose(ours[class_id], values, rtol=0, atol=near)
    np.testing.assert_allclose(
        found["scores"], expected.predictions[0], rtol=0, atol=near * np.ptp(expected.predictions)
    )


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("classes", ["predicted", "top:3"])
def test_a_photo(
    *, classes: str, photo: str, site: Callable[[str], Path], lite0: Callable[[str], Path], photos: Path,
    visit: Callable[..., Visit],
) -> None:  # fmt: skip
    seen = visit(site(classes)).loaded()
    seen.choose(photos / photo)
    same(seen, rc.ExplainedSession(lite0(classes)).explain_image(photos / photo))


def test_a_jpeg(
    site: Callable[[str], Path], lite0: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(site("top:3")).loaded()
    seen.choose(photos / "rocket.jpg")
    same(seen, rc.ExplainedSession(lite0("top:3")).explain_image(photos / "rocket.jpg"), near=NEAR_JPEG)


@pytest.mark.parametrize("classes", ["all", "input"])
def test_a_class_of_one_s_own(
    classes: str, site: Callable[[str], Path], lite0: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(site(classes)).loaded()
    seen.choose(photos / "chelsea.png")
    before = seen.count()
    seen.page.select_option("#class", label="lynx")
    other = "academic gown"
    seen.page.select_option("#class", label=other)
    session = rc.ExplainedSession(lite0(classes))
    if classes == "input":
        seen.settled(before)
        asked = [each["classId"] for each in seen.last()["maps"]]
        expected = session.explain_image(photos / "chelsea.png", class_ids=asked)
        assert set(asked) == {*(each.class_id for each in expected.top(5)), session.labels.index(other)}
    else:
        expected = session.explain_image(photos / "chelsea.png")
    same(seen, expected)
    assert seen.text("#rows .explained .name") == other
    assert f"The heat map of {other} is strongest at" in seen.text("#status")


def test_several_threads(
    site: Callable[[str], Path], lite0: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    seen = visit(site("predicted"), headers=ISOLATED).loaded()
    seen.choose(photos / "chelsea.png")
    threads = min(4, seen.page.evaluate("() => navigator.hardwareConcurrency"))
    assert seen.page.evaluate("() => crossOriginIsolated")
    assert threads > 1, "this test needs a machine of several cores"
    assert f"on {threads} threads of this device" in seen.text("#facts")
    same(seen, rc.ExplainedSession(lite0("predicted")).explain_image(photos / "chelsea.png"))


def test_one_thread_without_isolation(site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(site("predicted")).loaded()
    seen.choose(photos / "chelsea.png")
    assert not seen.page.evaluate("() => crossOriginIsolated")
    assert "on one thread of this device" in seen.text("#facts")


def test_everything_comes_from_the_folder(
    site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]
) -> None:
    """Requests of the worker are among those seen."""
    seen = visit(site("predicted")).loaded()
    seen.choose(photos / "chelsea.png")
    assert seen.foreign() == []
    asked = {url.removeprefix(seen.address) for url in seen.requests}
    assert {"", "config.json", "model/model.onnx", "onnxruntime/ort-wasm-simd-threaded.wasm"} <= asked


def test_the_picture_itself_stays(site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit]) -> None:
    seen = visit(site("predicted")).loaded()
    before = list(seen.requests)
    seen.choose(photos / "chelsea.png")
    assert seen.requests == before


def test_heat_is_painted_where_the_map_is_high(
    site: Callable[[str], Path], photos: Path, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    """With the page's opacity at 100 and at 0, its pixels differ in proportion to the map."""
    seen = visit(site("predicted"), viewport={"width": 1280, "height": 900}).loaded()
    seen.choose(photos / "chelsea.png")
    shots = []
    for value in (0, 100):
        seen.page.fill("#opacity", str(value))
        seen.page.locator("#seen").screenshot(path=tmp_path / f"{value}.png")
        shots.append(cv2.imread(str(tmp_path / f"{value}.png")).astype(float))
    (values,) = seen.maps()
    change = np.abs(shots[1] - shots[0]).mean(axis=2)
    cells = cv2.resize(change, values.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(cells.ravel(), values.ravel())[0, 1] > 0.8
    assert cells[values < 0.1].max() < 0.25 * cells.max()
