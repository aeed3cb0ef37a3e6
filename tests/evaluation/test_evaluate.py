"""An evaluation is its metrics, picture by picture."""

from __future__ import annotations

import csv
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from evaluations import METHODS, PREPARED, drawn, how, parts, shown
from pictures import COUNT, SIZE, data_set, network

import onnx_reciprocam as rc
from onnx_reciprocam import metrics
from onnx_reciprocam.errors import InputError, OptionError, SourceError, WriteError
from onnx_reciprocam.evaluation import METRICS, PROTOCOLS, Protocol, evaluate, summarise
from onnx_reciprocam.evaluation.summary import RESAMPLES, best
from onnx_reciprocam.timings import lasting


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("batch", "last"), [("batch", False), ("batch", True), (1, False), (3, True)])
def test_rows_are_the_metrics_of_each_picture(batch: Any, last: bool, tmp_path: Path) -> None:
    plain = network(tmp_path, batch=batch, channels_last=last)
    source = data_set(tmp_path / "data")
    methods = ["reciprocam", "gradcam"]
    rows = evaluate(plain, source, tmp_path / "out", **how(methods)).rows
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
        for method in methods
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


def test_figures_are_means_and_adcc_is_made_of_them(made: Any) -> None:
    for line in made.lines:
        rows = [row for row in made.rows if row["method"] == line.method]
        for name in ("drop", "increase", "coherency", "complexity", "deletion", "insertion"):
            values = [row[name] for row in rows]
            figure = line.figures[name]
            assert figure.value == pytest.approx(np.mean(values))
            assert figure.low <= figure.value <= figure.high
            assert figure.pictures == COUNT
        means = [line.figures[name].value for name in ("drop", "coherency", "complexity")]
        assert line.figures["adcc"].value == pytest.approx(metrics.adcc(*means))


@pytest.mark.parametrize(
    ("wanted", "columns"),
    [("drop", {"before", "after", "drop", "increase"}), ("coherency", {"coherency"}), ("pointing", {"pointing"})],
)
def test_one_metric_is_what_it_is_among_all(wanted: str, columns: set[str], made: Any, tmp_path: Path) -> None:
    protocol = replace(Protocol(steps=6), metrics=(wanted,))
    one = evaluate(*parts(made), tmp_path / "one", **how(protocol=protocol))
    of_all = {(row["sample"], row["method"]): row for row in made.rows}
    for row in one.rows:
        assert {*METRICS, "before", "after"} & row.keys() == columns | {"complexity"}
        whole = of_all[row["sample"], row["method"]]
        assert [row[name] for name in columns] == pytest.approx([whole[name] for name in columns], abs=1e-6)


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
    rows: list[dict[str, Any]] = [
        {"sample": "a", "method": "one", "drop": 0.0, "seconds": 1.0},
        {"sample": "b", "method": "one", "drop": 1.0, "seconds": 1.0},
        {"sample": "a", "method": "two", "drop": 0.5, "seconds": 1.0},
        {"sample": "b", "method": "two", "error": "too dark"},
    ]
    one, two = summarise(rows, ["one", "two"], ["drop"])
    assert (one.figures["drop"].value, two.figures["drop"].value) == (0, 0.5)
    assert (one.failed, two.failed) == (0, 1)


def test_files(made: Any) -> None:
    table = pq.read_table(made.folder / "images.parquet")
    assert table.num_rows == len(METHODS) * COUNT
    assert set(METRICS) - {"adcc"} <= set(table.column_names)
    with (made.folder / "summary.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["method"] for row in rows} == set(METHODS)
    assert shown(made) == drawn(made)
    assert len(shown(made)) == len(METHODS) * 8
    page = (made.folder / "report.html").read_text("utf-8")
    assert not re.findall(r"(?:src|href|url)\W+(?:https?:|//)", page)  # nothing is fetched
    assert '<html lang="en">' in page
    assert page.count("<img ") == page.count('loading="lazy"') == len(re.findall(r'alt="\S[^"]+ on \S[^"]+"', page))
    assert page.count('scope="row"') == len(METHODS)


def test_one_picture_is_shown(made: Any, tmp_path: Path) -> None:
    one = evaluate(*parts(made), tmp_path / "out", **how(METHODS[:1]), limit=1)
    assert len(shown(one)) == 1


def test_a_picture_with_two_labels_counts_once_unless_objects_are_looked_for(made: Any, tmp_path: Path) -> None:
    source = made.folder.parent / "data" / "twice.csv"
    predicted = {row["path"][-6:]: row["predicted"] for row in made.rows}["00.png"]
    other = (predicted + 1) % 5
    source.write_text(f"path,label,mask\n00.png,{predicted},00.mask.png\n00.png,{other},01.mask.png\n01.png,,\n")
    line = evaluate(made.folder.parent / "plain.onnx", source, tmp_path / "out", **how(METHODS[:1])).lines[0]
    counts = {name: figure.pictures for name, figure in line.figures.items()}
    assert counts == {name: 1 if name in {"pointing", "energy"} else 2 for name in METRICS}


def test_a_bad_picture_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    plain, source = network(tmp_path), data_set(tmp_path / "data")
    good = (tmp_path / "data" / "04.png").read_bytes()
    (tmp_path / "data" / "04.png").write_bytes(good[: len(good) // 2])
    cv2.imwrite(str(tmp_path / "data" / "05.mask.png"), np.zeros((5, 6), np.uint8))
    found = evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert len(found.rows) == COUNT
    assert {Path(path).name: reason for path, reason in found.failures.items()} == {
        "04.png": "the picture is truncated",
        "05.png": f"{tmp_path}/data/05.mask.png: the mask is 6x5, its picture 30x26; they have to be of one size",
    }
    assert found.lines[0].failed == 2
    assert found.lines[0].figures["drop"].pictures == COUNT - 2
    before = (tmp_path / "out" / "rows.jsonl").read_text()
    evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert (tmp_path / "out" / "rows.jsonl").read_text() == before
    (tmp_path / "data" / "04.png").write_bytes(good)
    mended = evaluate(plain, source, tmp_path / "out", **how(["activation"]))
    assert (len(mended.rows), len(mended.failures)) == (COUNT, 1)


def test_labels_are_explained_when_asked_for(made: Any, tmp_path: Path) -> None:
    found = evaluate(*parts(made), tmp_path / "out", **how(["reciprocam"], replace(PROTOCOLS["paper"], steps=6)))
    assert [row["explained"] for row in found.rows] == [row["label"] for row in found.rows]
    assert sum(row["pointing"] is not None for row in found.rows) == COUNT // 2
    with pytest.raises(OptionError, match="some pictures have no label"):
        evaluate(parts(made)[0], parts(made)[1].parent, tmp_path / "other", protocol="paper", preprocessing=PREPARED)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(WriteError):
        evaluate(network(tmp_path), data_set(tmp_path / "data"), tmp_path / "locked" / "out", preprocessing=PREPARED)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"methods": ["gradcamm"]}, "--methods does not take 'gradcamm'"),
        ({"methods": []}, "--methods does not take ''; it takes one method or more"),
        ({"protocol": "ours"}, "--protocol does not take 'ours'; it takes default, paper"),
        ({"limit": 0}, "--limit does not take '0'"),
        ({"limit": 2.5}, "--limit does not take '2.5'"),
        ({"methods": "gradcam"}, "--methods does not take 'gradcam'; it takes a list of names"),
        ({"labels": "names.txt"}, "labels does not take 'names.txt'; it takes a list of names"),
    ],
)
def test_a_bad_option(other: dict[str, Any], words: str, made: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        evaluate(*parts(made), tmp_path / "out", **how() | other)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"steps": 0}, "--steps does not take '0'"),
        ({"tolerance": -1.0}, "--tolerance does not take '-1.0'; it takes pixels from 0"),
        ({"tolerance": float("nan")}, "--tolerance does not take 'nan'"),
        ({"metrics": ("dropp",)}, "--metrics does not take 'dropp'"),
        ({"metrics": ()}, "--metrics does not take ''; it takes drop"),
        ({"metrics": "drop"}, "--metrics does not take 'drop'; it takes a tuple of names"),
        ({"steps": 2.5}, "--steps does not take '2.5'"),
        ({"explained": "both"}, "--explain does not take 'both'"),
    ],
)
def test_a_bad_protocol(value: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Protocol(**value)


def test_what_cannot_be_measured_is_refused_before_the_first_picture(made: Any, tmp_path: Path) -> None:
    plain, source = parts(made)
    with pytest.raises(InputError, match=r"'vector': pictures cannot fill it; only models whose one input"):
        evaluate(network(tmp_path, vector=True), source, tmp_path / "out", **how())
    with pytest.raises(InputError, match=r"'labels': 2 names for 5 classes"):
        evaluate(plain, source, tmp_path / "out", **how(), labels=("a", "b"))
    with pytest.raises(SourceError, match="no picture has a box or a mask, so there is nothing to point at"):
        evaluate(plain, source.parent, tmp_path / "out", **how(protocol=Protocol(metrics=("pointing",))))
    assert not (tmp_path / "out").exists()


def test_nothing_is_best_where_all_are_equal() -> None:
    def lines(*drops: float) -> Any:
        rows = [{"sample": "a", "method": str(i), "drop": drop, "seconds": 1.0} for i, drop in enumerate(drops)]
        return summarise(rows, [str(i) for i in range(len(drops))], ["drop"])

    assert best(lines(0.5, 0.2, 0.2001), "drop") == {"1", "2"}
    assert best(lines(0.2, 0.2001), "drop") == set()
    assert best(lines(0.2), "insertion") == set()


def test_times_are_written_as_people_say_them() -> None:
    assert [lasting(s) for s in (0.000_082, 0.0704, 1.26, 12.3, 1234.4, 12_000)] == [
        "0.082 ms", "70 ms", "1.3 s", "12 s", "20 min 34 s", "3 h 20 min",
    ]  # fmt: skip
