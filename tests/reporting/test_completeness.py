"""What a batch lacks is said, and nothing where it lacks nothing."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from batches import pictured, write_batch

from onnx_reciprocam.reporting import report
from onnx_reciprocam.result_folder import locked

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A batch of all seven pictures of its source, in parts of two."""
    pictures = tmp_path / "my pictures"
    rows = [pictured(pictures / f"{number}.jpg", number) for number in range(7)]
    return write_batch(tmp_path / "batch", rows, per_part=2, source=[str(pictures)])


def test_a_whole_batch(whole: Path) -> None:
    found = report(whole)
    assert (found.shown, found.missing) == (7, "")
    assert "not finished" not in found.page.read_text()


def test_its_last_part_is_missing(whole: Path) -> None:
    last = max((whole / "rows").iterdir())
    last.unlink()
    found = report(whole)
    wanted = "The batch is not finished: its source has more pictures. Run the same `batch` again to go on."
    assert (found.shown, found.missing) == (6, wanted)
    assert f"<strong>{wanted}</strong>" in found.page.read_text()


def test_several_places(whole: Path) -> None:
    pictures = whole.parent / "my pictures"
    for folder in ("a", "b"):
        (whole.parent / folder).mkdir()
    for number in range(8):
        shutil.copy(pictures / "0.jpg", whole.parent / ("a" if number < 4 else "b") / f"{number}.jpg")
    settings = whole / "settings.json"
    told = json.loads(settings.read_text()) | {"source": [f"{whole.parent}/a", f"{whole.parent}/b"]}
    settings.write_text(json.dumps(told))
    assert "its source has more pictures" in report(whole).missing
    (whole.parent / "b" / "7.jpg").unlink()
    assert report(whole).missing == ""


def test_a_part_in_the_middle_is_missing(whole: Path) -> None:
    sorted((whole / "rows").iterdir())[1].unlink()
    assert "parts in the middle are missing" in report(whole).missing


def test_it_is_still_being_written(whole: Path) -> None:
    with locked(whole, "batch"):
        assert report(whole).missing == "A batch is still being written here."


@pytest.mark.parametrize("source", ["no such folder", "nowhere://bucket", "a\0b", ""])
def test_a_source_out_of_reach_says_nothing(source: str, tmp_path: Path) -> None:
    rows = [pictured(tmp_path / "pictures" / "0.jpg", 0)]
    assert report(write_batch(tmp_path / "batch", rows, source=[source])).missing == ""
