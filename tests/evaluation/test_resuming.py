"""An evaluation that was cut short goes on, whatever cut it; its folder is its own, and whole or not there."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from evaluations import METHODS, drawn, figures, how, parts, shown
from pictures import data_set, network

from onnx_reciprocam.errors import WriteError
from onnx_reciprocam.evaluation import Protocol, evaluate

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_goes_on_where_it_stopped(made: Any, tmp_path: Path) -> None:
    class Stop(Exception):  # noqa: N818 - what a killed run is like
        pass

    def stop(done: int, _total: int, _what: str) -> None:
        if done > 8:
            raise Stop

    with pytest.raises(Stop):
        evaluate(*parts(made), tmp_path / "out", **how(), progress=stop)
    rows = tmp_path / "out" / "rows.jsonl"
    before = rows.read_text()
    rows.write_text(before + '{"sample": "cut sho')
    seen: list[int] = []
    resumed = evaluate(*parts(made), tmp_path / "out", **how(), progress=lambda done, *_: seen.append(done))
    assert seen[0] == len(before.splitlines()) > 8
    assert rows.read_text().startswith(before)
    assert figures(resumed) == figures(made)
    assert shown(resumed) == drawn(resumed) == shown(made)


def test_pictures_that_were_removed_are_drawn_again(made: Any, found: Any) -> None:
    kept = {path.name: path.read_bytes() for path in (made.folder / "pictures").iterdir()}
    shutil.rmtree(found.folder / "pictures")
    again = evaluate(*parts(made), found.folder, **how())
    assert figures(again) == figures(made)
    assert shown(again) == drawn(again) == set(kept)


def test_a_smaller_run_in_the_same_folder_shows_its_own_pictures(made: Any, found: Any) -> None:
    few = evaluate(*parts(made), found.folder, **how(METHODS[:1]), limit=3)
    assert len(few.rows) == len(shown(few)) == 3
    assert {line.figures["drop"].pictures for line in few.lines} == {3}
    all_again = evaluate(*parts(made), found.folder, **how())
    assert figures(all_again) == figures(made)
    assert shown(all_again) == drawn(all_again) == shown(made)


@pytest.mark.parametrize("how_it_ends", ["SIGKILL", "SIGINT"])
def test_a_killed_run_goes_on(how_it_ends: str, made: Any, tmp_path: Path) -> None:
    plain, source = made.folder.parent / "plain.onnx", data_set(tmp_path / "data", 40)
    call = [
        sys.executable, "-c", "from onnx_reciprocam.cli import main; main()", "evaluate", str(plain), str(source),
        "-o", str(tmp_path / "out"), "--methods", "reciprocam,gradcam", "--steps", "40", "--size", "18x24",
    ]  # fmt: skip
    rows = tmp_path / "out" / "rows.jsonl"
    child = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not (rows.exists() and rows.stat().st_size):
        time.sleep(0.01)
    child.send_signal(getattr(signal, how_it_ends))
    _, said = child.communicate(timeout=60)
    if how_it_ends == "SIGINT":
        assert (child.returncode, said.splitlines()) == (130, ["error: interrupted; nothing half-written is left."])
        assert not list((tmp_path / "out").rglob("*.part"))
    assert len(rows.read_text().splitlines()) < 80
    evaluate(
        plain, source, tmp_path / "out",
        **how(["reciprocam", "gradcam"], Protocol(steps=40)),
    )  # fmt: skip
    keys = [(row["sample"], row["method"]) for row in map(json.loads, rows.read_text().splitlines())]
    assert len(keys) == len(set(keys)) == 80


def test_other_settings_need_another_folder(made: Any, found: Any) -> None:
    with pytest.raises(WriteError, match=r"an evaluation with protocol.steps 6, now 7; name another folder"):
        evaluate(*parts(made), found.folder, **how(protocol=Protocol(steps=7)))
    with pytest.raises(WriteError, match=r'an evaluation with options.score null, now "probability"'):
        evaluate(*parts(made), found.folder, **how(), score="probability")
    with pytest.raises(WriteError, match=r"an evaluation with another model, output \"scores\", now \"other\""):
        evaluate(network(found.folder.parent, aux=True), parts(made)[1].parent, found.folder, **how(), output="other")
    more = evaluate(*parts(made), found.folder, **how([*METHODS, "layercam"]))
    assert [line.method for line in more.lines] == [*METHODS, "layercam"]
    assert figures(replace(more, rows=[row for row in more.rows if row["method"] in METHODS])) == figures(made)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("settings.json", b"no json", "it holds an evaluation with settings that cannot be read"),
        ("settings.json", None, "its rows have lost their settings.json"),
        ("rows.jsonl", b'{"sample": "a", "method": "b"}\n\0\0\n', "its line 2 is no row; remove that line"),
    ],
)
def test_a_spoilt_folder(name: str, content: bytes | None, words: str, made: Any, found: Any) -> None:
    if content is None:
        (found.folder / name).unlink()
    else:
        (found.folder / name).write_bytes(content)
    with pytest.raises(WriteError, match=words):
        evaluate(*parts(made), found.folder, **how())


def test_two_runs_at_once_are_refused(made: Any, found: Any) -> None:
    from filelock import FileLock

    with FileLock(found.folder / ".lock"), pytest.raises(WriteError, match="another run is writing there"):
        evaluate(*parts(made), found.folder, **how())


def test_a_disk_that_fills_up_ends_the_run_without_half_rows(made: Any, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")

    def room(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(WriteError, match="file too large"):
            evaluate(*parts(made), tmp_path / "out", **how(), progress=lambda *_: room(2500))
        room(resource.RLIM_INFINITY)
        full = evaluate(*parts(made), tmp_path / "out", **how())
    finally:
        room(resource.RLIM_INFINITY)
        signal.signal(signal.SIGXFSZ, old)
    assert figures(full) == figures(made)
    assert not full.failures
