"""What happens to a batch in real life: killed again and again, a full disk, two at once."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from photo_sets import photos, rows_of

from onnx_reciprocam.dataset import Finished, batch, read_finished
from onnx_reciprocam.errors import WriteError

if TYPE_CHECKING:
    from pathlib import Path

KILLS, PICTURES = 20, 4000


def call(model: Path, source: Path | str, folder: Path, *more: str) -> list[str]:
    words = ["batch", str(model), str(source), "-o", str(folder), "--batch-size", "4", *more]
    return [sys.executable, "-c", "import sys; from onnx_reciprocam.cli import main; main(sys.argv[1:])", *words]


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_rows_of_one_run(model: Path, tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", PICTURES)
    batch(model, source, tmp_path / "whole", batch_size=4, overlays=True)
    chance = random.Random(0)  # noqa: S311 - moments
    kills, parts, removed = 0, set(), False
    for _ in range(500):
        process = subprocess.Popen(
            call(model, source, tmp_path / "out", "--overlays"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            # Early and late in loading, explaining, writing: seconds from the start, then from the first part on.
            process.wait(chance.uniform(0.3, 8.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        parts.add(count := len(list((tmp_path / "out" / "rows").glob("part-*"))))
        marked = read_finished(tmp_path / "out")
        removed = removed and marked is not None and process.returncode != 0
        assert marked in {None, Finished(PICTURES, count)} or removed
        assert marked is not None or process.returncode != 0
        if process.returncode == 0 and kills >= KILLS:
            break
        if process.returncode == 0:  # done too soon: some parts are to be made again
            for path in sorted((tmp_path / "out" / "rows").glob("part-*"))[1::2]:
                path.unlink()
            removed = True
    assert kills >= KILLS
    assert len(parts) > 2
    rows = rows_of(tmp_path / "out")
    assert rows == rows_of(tmp_path / "whole")
    assert len({row["path"] for row in rows}) == PICTURES
    for row in rows[:: PICTURES // 50]:
        if row["overlay"]:
            assert (tmp_path / "out" / row["overlay"]).read_bytes() == (
                tmp_path / "whole" / row["overlay"]
            ).read_bytes()


def test_a_disk_that_is_full_leaves_whole_parts_only(model: Path, pictures: Path, tmp_path: Path) -> None:
    """The system refuses any file above some size, as a quota does."""
    words = call(model, pictures, tmp_path / "out")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    found = subprocess.run(words, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    errors = [line for line in found.stderr.splitlines() if not line.startswith(("{", "No preprocessing"))]
    assert len(errors) == 1
    assert errors[0].startswith("error: cannot write")
    assert list((tmp_path / "out" / "rows").iterdir()) == []
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    batch(model, pictures, tmp_path / "whole", batch_size=4)
    assert [row["map"] for row in rows_of(tmp_path / "out")] == [row["map"] for row in rows_of(tmp_path / "whole")]


def test_a_disk_that_fills_up_between_parts(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, count = os.fsync, 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count > 2:
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WriteError, match="no space left on device"):
            batch(model, pictures, tmp_path / "out", batch_size=4, rows_per_part=4)
    assert [path.name[:11] for path in (tmp_path / "out" / "rows").iterdir()] == ["part-000000"]
    batch(model, pictures, tmp_path / "out")
    batch(model, pictures, tmp_path / "whole", batch_size=4)
    assert [row["map"] for row in rows_of(tmp_path / "out")] == [row["map"] for row in rows_of(tmp_path / "whole")]


def test_a_second_run_is_refused_while_the_first_goes_on(model: Path, tmp_path: Path) -> None:
    source = photos(tmp_path / "photos", 3000)
    first = subprocess.Popen(call(model, source, tmp_path / "out"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while not (tmp_path / "out" / "settings.json").exists():
            assert first.poll() is None
            time.sleep(0.01)
        with pytest.raises(WriteError, match="another run is writing there"):
            batch(model, source, tmp_path / "out")
    finally:
        first.send_signal(signal.SIGINT)
        _, said = first.communicate()
    assert first.returncode in {0, 130}
    assert b"Traceback" not in said
    batch(model, source, tmp_path / "out")
    assert len(rows_of(tmp_path / "out")) == 3000


def test_progress_without_a_terminal_is_json(model: Path, pictures: Path, tmp_path: Path) -> None:
    found = subprocess.run(call(model, pictures, tmp_path / "out"), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in found.stderr.splitlines() if line.startswith("{")]
    assert lines[-1]["done"] == lines[-1]["total"] == 23
    assert lines[-1]["failed"] == 3
    quiet = subprocess.run(
        call(model, pictures, tmp_path / "quiet", "--quiet"), capture_output=True, text=True, check=True
    )
    assert "{" not in quiet.stderr
