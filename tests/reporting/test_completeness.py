"""What a batch lacks is said, and nothing where it lacks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from batches import pictured, write_batch

from onnx_reciprocam.cli import run
from onnx_reciprocam.dataset.finished import FINISHED
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


def test_a_batch_without_its_mark_was_cut_short(whole: Path) -> None:
    (whole / FINISHED).unlink()
    found = report(whole)
    wanted = "The batch is not finished: it was cut short. Run the same `batch` again to go on."
    assert (found.shown, found.missing) == (7, wanted)
    assert f'<p class="banner" role="status"><strong>{wanted}</strong></p>' in found.page.read_text()


def test_a_mark_that_is_damaged_is_none(whole: Path) -> None:
    (whole / FINISHED).write_text("{")
    assert "it was cut short" in report(whole).missing


def test_its_last_part_is_missing(whole: Path) -> None:
    last = max((whole / "rows").iterdir())
    last.unlink()
    found = report(whole)
    assert found.shown == 6
    assert "parts at its end are missing" in found.missing


def test_a_part_in_the_middle_is_missing(whole: Path) -> None:
    sorted((whole / "rows").iterdir())[1].unlink()
    assert "parts in the middle are missing" in report(whole).missing


def test_it_is_still_being_written(whole: Path) -> None:
    with locked(whole, "batch"):
        assert report(whole).missing == "A batch is still being written here."


def test_on_the_terminal(whole: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (whole / FINISHED).unlink()
    assert run(["report", str(whole)]) == 0
    assert "The batch is not finished: it was cut short." in capfd.readouterr().err
