"""An evaluation is its metrics, picture by picture; it is resumed, locked, and whole or not there."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import COUNT, SIZE, data_set, network

import onnx_reciprocam as rc
from onnx_reciprocam import metrics
from onnx_reciprocam.errors import OptionError, WriteError
from onnx_reciprocam.evaluation import METRICS, PROTOCOLS, Protocol, evaluate, summarise
from onnx_reciprocam.evaluation.summary import RESAMPLES

if TYPE_CHECKING:
    from pathlib import Path

METHODS = ("reciprocam", "gradcam", "eigencam")
QUICK = Protocol(steps=6)
PREPARED = rc.Preprocessing(size=SIZE)


@pytest.fixture
def found(tmp_path: Path) -> Any:
    return evaluate(
        network(tmp_path), data_set(tmp_path / "data"), tmp_path / "out",
        methods=METHODS, protocol=QUICK, preprocessing=PREPARED,
    )  # fmt: skip


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("last", [False, True])
def test_rows_are_the_metrics_of_each_picture(batch: Any, last: bool, tmp_path: Path) -> None:
    plain = network(tmp_path, batch=batch, channels_last=last)
    source = data_set(tmp_path / "data")
    how: dict[str, Any] = {"methods": ["reciprocam", "gradcam"], "protocol": QUICK, "preprocessing": PREPARED}
    rows = evaluate(plain, source, tmp_path / "out", **how).rows
    assert len(rows) == 2 * COUNT
    scorer = rc.ExplainedSession(
        rc.rewrite(network(tmp_path, channels_last=last)).SerializeToString(), preprocessing=PREPARED
    )
    turn = (0, 2, 3, 1) if last else (0, 1, 2, 3)
    back = (0, 3, 1, 2) if last else (0, 1, 2, 3)

    def score(images: np.ndarray) -> np.ndarray:
        return softmax(scorer(images.transpose(turn)).predictions)

    explainers = {
        method: rc.ExplainedSession(
            rc.rewrite(network(tmp_path, channels_last=last), method=method, classes="input").SerializeToString()
        )
        for method in how["methods"]
    }
    for row in rows:
        batch_of_one, _ = scorer.prepare(row["path"])
        image = batch_of_one.transpose(back)
        c = score(image).argmax(axis=1)
        assert (row["explained"], row["predicted"]) == (c[0], c[0])
        explain = explainers[row["method"]]

        def maps(images: np.ndarray, classes: Any, explain: Any = explain) -> np.ndarray:
            return np.asarray(explain(images.transpose(turn), class_ids=classes[:, None]).saliency[:, 0])

        saliency = metrics.scaled(maps(image, c), *SIZE)
        sure = metrics.confidences(score, image, saliency, c)
        again = metrics.explained_again(maps, image, saliency, c)
        wanted = {
            "drop": metrics.drop(sure.before, sure.after)[0],
            "increase": metrics.increase(sure.before, sure.after)[0],
            "coherency": metrics.coherency(saliency, again)[0],
            "complexity": metrics.complexity(saliency)[0],
            "deletion": metrics.deletion(score, image, saliency, c, steps=6)[0],
            "insertion": metrics.insertion(score, image, saliency, c, steps=6)[0],
        }
        for name, value in wanted.items():
            assert row[name] == pytest.approx(value, abs=1e-5), (row["path"], name)
        number = int(re.findall(r"(\d+)\.png", row["path"])[0])
        assert (row["pointing"] is not None) == (number % 2 == 1 and number % 5 == c[0])


def test_figures_are_means_and_adcc_is_made_of_them(found: Any) -> None:
    for line in found.lines:
        rows = [row for row in found.rows if row["method"] == line.method]
        for name in ("drop", "increase", "coherency", "complexity", "deletion", "insertion"):
            values = [row[name] for row in rows]
            figure = line.figures[name]
            assert figure.value == pytest.approx(np.mean(values))
            assert figure.low <= figure.value <= figure.high
            assert figure.pictures == COUNT
        means = [line.figures[name].value for name in ("drop", "coherency", "complexity")]
        assert line.figures["adcc"].value == pytest.approx(metrics.adcc(*means))


def test_intervals_are_those_of_bootstrapped_pictures() -> None:
    rng = np.random.default_rng(5)
    values = rng.random(40)
    rows = [{"sample": f"{i:02}", "method": "m", "insertion": v, "seconds": 1.0} for i, v in enumerate(values)]
    figure = summarise(rows, ["m"], ["insertion"])[0].figures["insertion"]
    error = values.std() / np.sqrt(len(values))
    assert figure.low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert figure.high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert RESAMPLES >= 1000


def test_methods_are_compared_on_pictures_that_all_explain() -> None:
    rows = [
        {"sample": "a", "method": "one", "drop": 0.0, "seconds": 1.0},
        {"sample": "b", "method": "one", "drop": 1.0, "seconds": 1.0},
        {"sample": "a", "method": "two", "drop": 0.5, "seconds": 1.0},
        {"sample": "b", "method": "two", "error": "too dark"},
    ]
    one, two = summarise(rows, ["one", "two"], ["drop"])
    assert (one.figures["drop"].value, two.figures["drop"].value) == (0, 0.5)
    assert (one.failed, two.failed) == (0, 1)


def test_files(found: Any) -> None:
    table = pq.read_table(found.folder / "images.parquet")
    assert table.num_rows == len(METHODS) * COUNT
    assert set(METRICS) - {"adcc"} <= set(table.column_names)
    with (found.folder / "summary.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["method"] for row in rows} == set(METHODS)
    page = (found.folder / "report.html").read_text("utf-8")
    shown = set(re.findall(r'src="pictures/([^"]+)"', page))
    assert shown <= {path.name for path in (found.folder / "pictures").iterdir()}
    assert len(shown) == len(METHODS) * 8
    assert "http" not in page.replace("https://", "http").split("<body>")[0].split("charset")[0]


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    how: dict[str, Any] = {"methods": METHODS, "protocol": QUICK, "preprocessing": PREPARED}
    whole = evaluate(plain, source, tmp_path / "whole", **how)

    class Stop(Exception):  # noqa: N818 - what a killed run is like
        pass

    def stop(done: int, _total: int, _what: str) -> None:
        if done > 8:
            raise Stop

    with pytest.raises(Stop):
        evaluate(plain, source, tmp_path / "out", **how, progress=stop)
    rows = tmp_path / "out" / "rows.jsonl"
    before = rows.read_text()
    rows.write_text(before + '{"sample": "cut sho')
    seen: list[int] = []
    resumed = evaluate(plain, source, tmp_path / "out", **how, progress=lambda done, *_: seen.append(done))
    assert seen[0] == len(before.splitlines()) > 8
    assert rows.read_text().startswith(before)

    def of(evaluation: Any) -> Any:
        kept = [{k: v for k, v in row.items() if k != "seconds"} for row in evaluation.rows]
        return sorted(kept, key=lambda row: (row["sample"], row["method"]))

    assert of(resumed) == of(whole)


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data", 40)
    call = [
        sys.executable, "-c", "from onnx_reciprocam.cli import main; main()", "evaluate", str(plain), str(source),
        "-o", str(tmp_path / "out"), "--methods", "reciprocam,gradcam", "--steps", "40", "--size", "18x24",
    ]  # fmt: skip
    rows = tmp_path / "out" / "rows.jsonl"
    child = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not (rows.exists() and rows.stat().st_size):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(rows.read_text().splitlines()) < 80
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    keys = [(row["sample"], row["method"]) for row in map(json.loads, rows.read_text().splitlines())]
    assert len(keys) == len(set(keys)) == 80


def test_other_settings_need_another_folder(tmp_path: Path, found: Any) -> None:
    plain, source = tmp_path / "plain.onnx", tmp_path / "data" / "data.csv"
    with pytest.raises(WriteError, match=r"an evaluation with another protocol; name another folder"):
        evaluate(plain, source, found.folder, methods=METHODS, protocol=Protocol(steps=7), preprocessing=PREPARED)
    more = evaluate(plain, source, found.folder, methods=[*METHODS, "layercam"], protocol=QUICK, preprocessing=PREPARED)
    assert [line.method for line in more.lines] == [*METHODS, "layercam"]


def test_two_runs_at_once_are_refused(tmp_path: Path, found: Any) -> None:
    from filelock import FileLock

    with FileLock(found.folder / ".lock"), pytest.raises(WriteError, match="another run is writing there"):
        evaluate(
            tmp_path / "plain.onnx", tmp_path / "data", found.folder,
            methods=METHODS, protocol=QUICK, preprocessing=PREPARED,
        )  # fmt: skip


def test_a_bad_picture_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    (tmp_path / "data" / "04.png").write_bytes(b"no picture")
    found = evaluate(plain, source, tmp_path / "out", methods=["activation"], protocol=QUICK, preprocessing=PREPARED)
    assert len(found.rows) == COUNT
    (failure,) = found.failures.items()
    assert failure[0].endswith("04.png")
    assert found.lines[0].failed == 1
    assert found.lines[0].figures["drop"].pictures == COUNT - 1


def test_labels_are_explained_when_asked_for(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    found = evaluate(
        plain, source, tmp_path / "out", methods=["reciprocam"], protocol=PROTOCOLS["paper"], preprocessing=PREPARED
    )
    assert [row["explained"] for row in found.rows] == [row["label"] for row in found.rows]
    assert sum(row["pointing"] is not None for row in found.rows) == COUNT // 2
    with pytest.raises(OptionError, match="some pictures have no label"):
        evaluate(plain, tmp_path / "data", tmp_path / "other", protocol=PROTOCOLS["paper"], preprocessing=PREPARED)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(WriteError):
        evaluate(network(tmp_path), data_set(tmp_path / "data"), tmp_path / "locked" / "out", preprocessing=PREPARED)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"methods": ["gradcamm"]}, "--method does not take 'gradcamm'"),
        ({"protocol": "ours"}, "--protocol does not take 'ours'; it takes default, paper"),
        ({"limit": 0}, "--limit does not take '0'"),
    ],
)
def test_a_bad_option(how: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        evaluate(network(tmp_path), data_set(tmp_path / "data"), tmp_path / "out", preprocessing=PREPARED, **how)
    assert not (tmp_path / "out").exists()
