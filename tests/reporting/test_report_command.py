"""``report`` on the terminal: what it counts, where it is to look, and failures in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from batches import failed, write_batch

from onnx_reciprocam.cli import run

if TYPE_CHECKING:
    from pathlib import Path


def test_it_counts_and_says_where_to_look(batch: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(batch)]) == 0
    out, err = capfd.readouterr()
    counts = "13 rows, 2 failed, 1 with a flat map, 5 without the picture"
    assert (out, err) == (f"{counts}; page to look at: {batch}/report.html\n", "")


def test_some_of_them(batch: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(batch), "--limit", "1"]) == 0
    assert capfd.readouterr().out == f"1 of 13 rows; page to look at: {batch}/report.html\n"


def test_nothing_but_failures_is_a_page_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_batch(tmp_path, [failed("a.jpg", "not a picture")])
    assert run(["report", str(tmp_path)]) == 0
    assert capfd.readouterr().out == f"1 row, 1 failed; page to look at: {tmp_path}/report.html\n"


def test_open(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []
    monkeypatch.setattr(typer, "launch", launched.append)
    assert run(["report", str(batch), "--open"]) == 0
    assert launched == [str(batch / "report.html")]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none"], "error: none: there is no such folder. Make one: onnx-reciprocam batch MODEL SOURCE -o DIR\n"),
        (["batch", "--limit", "0"], "error: --limit does not take '0'; it takes a number of rows, at least 1.\n"),
        ([], "Missing argument 'DIR'"),
    ],
)
@pytest.mark.usefixtures("batch")
def test_a_bad_call(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", *arguments]) == 2
    err = capfd.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
