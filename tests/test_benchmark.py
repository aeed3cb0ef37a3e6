from __future__ import annotations

import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc
from onnx_reciprocam.benchmark import bench, field
from onnx_reciprocam.benchmark.field import free_bytes, take_turns
from onnx_reciprocam.cli import run
from onnx_reciprocam.errors import AlreadyRewrittenError, ModelFileError, OptionError
from onnx_reciprocam.model_run import ModelRun
from onnx_reciprocam.timings import Benchmark, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
QUICK: dict[str, Any] = {"runs": 2, "warmup": 1, "threads": 1}


def network(batch: int | str = "batch", kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Cast to float, a 3x3 convolution, Relu, a global pool, a linear layer of 4 classes; 3 x 5 cells."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (2, 3, 3, 3), "weights": (4, 2)}
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "kernel"], ["early"], pads=[1] * 4),
        helper.make_node("Relu", ["early"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights"], ["logits"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", kind, [batch, 3, 3, 5])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4])
    graph = helper.make_graph(nodes, "g", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> list[ModelRun]:
    """No processes of their own: what would run in one runs here, and is listed."""
    asked: list[ModelRun] = []

    def peak(self: ModelRun, name: str) -> float:
        assert name
        assert Path(self.path).is_file()
        asked.append(self)
        self.start()()
        return 50.0 * len(asked)

    monkeypatch.setattr(ModelRun, "peak_alone", peak)
    return asked


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    (folder := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def found() -> Benchmark:
    return bench(network(), **QUICK, batch=2)


def test_every_variant_is_measured(found: Benchmark) -> None:
    assert [variant.name for variant in found.variants] == ["plain", "explained", "naive"]
    assert all(len(variant.milliseconds) == 2 and min(variant.milliseconds) > 0 for variant in found.variants)
    assert (found.model, found.target, found.grid) == ("the model", "map", (3, 5))
    assert (found.inputs, found.runs, found.warmup, found.threads) == ({"image": (2, 3, 3, 5)}, 2, 1, 1)
    assert (found.providers, found.naive_skipped) == (("CPUExecutionProvider",), "")


@LINUX
def test_every_variant_has_a_process_of_plausible_size(found: Benchmark) -> None:
    assert all(variant.peak_mb is not None and 10 < variant.peak_mb < 200 for variant in found.variants)


def test_the_result_is_json(found: Benchmark) -> None:
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    rows = {row["name"]: row for row in read.pop("variants")}
    assert read.pop("multiply_adds") > 1
    assert read == {
        "model": "the model",
        "target": "map",
        "grid": [3, 5],
        "inputs": {"image": [2, 3, 3, 5]},
        "threads": 1,
        "warmup": 1,
        "providers": ["CPUExecutionProvider"],
        "naive_skipped": "",
    }
    assert (rows["plain"]["ratio"], rows["plain"]["ratio_quartiles"]) == (1, [1, 1])
    assert rows["explained"]["ratio"] == found.explained_ratio
    assert rows["naive"]["ratio"] == found.naive_ratio
    assert rows["naive"]["runs_ms"] == list(found.variants[2].milliseconds)


def test_the_ratio_is_taken_within_rounds() -> None:
    plain = Variant("plain", (10, 20, 40), 100)  # a machine that slows down
    explained = Variant("explained", (11, 30, 44), 103)
    assert (explained.median, explained.quartiles) == (30, (20.5, 37))
    assert explained.ratios(plain) == pytest.approx((1.1, 1.5, 1.1))
    assert explained.ratio(plain) == pytest.approx(1.1)  # of the medians it would be 1.5
    assert explained.growth(plain) == pytest.approx(3)
    assert Variant("naive", (1, 1, 1), None).growth(plain) is None


def test_variants_take_turns_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    now, log = [0.0], list[str]()
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def variant(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            log.append(name)
            now[0] += seconds * len(log)

        return call

    steps: list[str] = []
    lengths = {"plain": 1.0, "explained": 2.0, "naive": 4.0}
    times = take_turns({name: variant(name, seconds) for name, seconds in lengths.items()}, 12, steps.append)
    rounds = [tuple(log[start : start + 3]) for start in range(0, 36, 3)]
    assert set(rounds[:6]) == set(rounds[6:]) == set(itertools.permutations(lengths))
    for name, seconds in lengths.items():
        assert times[name] == pytest.approx([seconds * 1000 * (i + 1) for i, who in enumerate(log) if who == name])
    assert steps == [f"Round {i} of 12" for i in range(1, 13)]


def test_the_warm_up_does_not_count(in_place: list[ModelRun], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def turns(variants: Sequence[str], rounds: int, _: object) -> dict[str, list[float]]:
        asked.append(rounds)
        return {name: [99.0, 98.0, 1.0, 2.0, 3.0] for name in variants}

    monkeypatch.setattr(field, "take_turns", turns)
    measured = bench(network(), runs=3, warmup=2)
    assert asked == [5]
    assert all(variant.milliseconds == (1, 2, 3) for variant in measured.variants)
    assert [variant.peak_mb for variant in measured.variants] == [50, 100, 150]
    assert len(in_place) == 3


def test_everyone_gets_the_same_inputs(in_place: list[ModelRun]) -> None:
    bench(network(), **QUICK, classes="input", batch=3)
    plain, explained, naive = (each.feeds() for each in in_place)
    for feeds in (explained, naive):
        np.testing.assert_array_equal(feeds.pop("saliency_class_ids"), np.zeros((3, 1), np.int64))
        np.testing.assert_array_equal(feeds["image"], plain["image"])
        assert feeds.keys() == plain.keys()
    assert abs(plain["image"].mean()) < 0.5 < plain["image"].std() < 1.5


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.UINT8, "uint8"), (TensorProto.FLOAT16, "float16")])
def test_inputs_have_the_type_that_the_model_wants(in_place: list[ModelRun], kind: int, name: str) -> None:
    bench(network(kind=kind), **QUICK)
    assert in_place[0].feeds()["image"].dtype == name


def test_options_reach_the_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata: list[dict[str, str]] = []

    def peak(self: ModelRun, _: str) -> None:
        metadata.append({entry.key: entry.value for entry in onnx.load(self.path).metadata_props})

    monkeypatch.setattr(ModelRun, "peak_alone", peak)
    wanted: dict[str, Any] = {"target": "early", "mask": "gaussian", "score": "probability", "classes": "top:2"}
    measured = bench(network(), **QUICK, **wanted)
    plain, explained, naive = metadata
    assert (plain, explained) == ({}, naive)
    assert {key: explained[f"reciprocam.{key}"] for key in wanted} == wanted
    assert measured.target == "early"


@pytest.mark.parametrize(("declared", "asked", "fed"), [("batch", None, 1), ("batch", 4, 4), (2, None, 2), (2, 2, 2)])
def test_the_batch(in_place: list[ModelRun], declared: int | str, asked: int | None, fed: int) -> None:
    measured = bench(network(declared), **QUICK, naive=False, batch=asked)
    assert measured.inputs == {"image": (fed, 3, 3, 5)}
    assert len(in_place) == 2


class TestTheNaiveExplanationIsLeftOut:
    def test_when_nobody_asks(self, in_place: list[ModelRun]) -> None:
        self.check(bench(network(), **QUICK, naive=False), in_place, "not asked for")

    def test_when_it_costs_too_much(self, in_place: list[ModelRun], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(field, "COST_LIMIT", -1)
        reason = "it takes 0 times the plain model's multiply-adds; the limit is -1"
        self.check(bench(network(), **QUICK), in_place, reason)

    def test_when_memory_is_short(
        self, in_place: list[ModelRun], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (file := tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       10 kB\n")
        monkeypatch.setattr(field, "MEMORY", file)
        assert free_bytes() == 10240
        # 15 copies of 3 images of [2, 3, 5] and of [2, 1, 1], four bytes each, four times over
        needed = 15 * 3 * (2 * 15 + 2) * 4 * 4
        reason = f"its copies take about {needed / 1e9:,.3g} GB; 1.02e-05 GB of memory are free"
        self.check(bench(network(), **QUICK, batch=3), in_place, reason)

    def test_when_its_process_dies(self, in_place: list[ModelRun], monkeypatch: pytest.MonkeyPatch) -> None:
        alive = ModelRun.peak_alone

        def peak(self: ModelRun, name: str) -> float | None:
            if name.endswith("(naive)"):
                raise ModelFileError(name, "the system killed it.")
            return alive(self, name)

        monkeypatch.setattr(ModelRun, "peak_alone", peak)
        self.check(bench(network(), **QUICK), in_place, "the model (naive): the system killed it. [RC101]")

    @staticmethod
    def check(measured: Benchmark, in_place: list[ModelRun], reason: str) -> None:
        assert [variant.name for variant in measured.variants] == ["plain", "explained"]
        assert (measured.naive_skipped, measured.naive_ratio) == (reason, None)
        assert len(measured.to_dict()["variants"]) == len(in_place) == 2


def test_no_word_of_free_memory_means_no_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(field, "MEMORY", tmp_path / "nowhere")
    assert free_bytes() == float("inf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "--runs does not take '0'; it takes whole numbers from 1"),
        ({"warmup": -1}, "--warmup does not take '-1'; it takes whole numbers from 0"),
        ({"threads": 0}, "--threads does not take '0'"),
        ({"batch": 0}, "--batch does not take '0'"),
        ({"batch": 3}, "--batch does not take '3'; it takes 2, which this model fixes"),
        ({"mask": "round"}, "--mask does not take 'round'"),
        ({"classes": "top:9"}, "at most top:4"),
        ({"providers": ["Abacus"]}, "--provider does not take 'Abacus'; it takes .*CPUExecutionProvider"),
    ],
)
def test_options_that_cannot_be(temporary: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        bench(network(2), **options)
    assert list(temporary.iterdir()) == []


def test_a_file_that_is_explained_already() -> None:
    with pytest.raises(AlreadyRewrittenError, match="explained already"):
        bench(rc.rewrite(network()), **QUICK)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.usefixtures("in_place")
def test_nothing_is_left_behind(temporary: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]) -> None:
    def turns(*_: object) -> None:
        assert len(list(temporary.glob("*/*.onnx"))) == 3
        raise error("in the middle")

    monkeypatch.setattr(field, "take_turns", turns)
    with pytest.raises(error, match="in the middle"):
        bench(network(), **QUICK)
    assert list(temporary.iterdir()) == []


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    onnx.save(network(), tmp_path / "model.onnx")
    return str(tmp_path / "model.onnx")


FAST = ("--runs", "2", "--warmup", "0", "--threads", "1")


@pytest.mark.usefixtures("in_place")
def test_the_command_shows_a_table(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", model, *FAST]) == 0
    said = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if line}
    assert rows["plain"][5:] == ["1.00", "1.00", "-", "1.00", "50"]
    assert (rows["explained"][9:], rows["naive"][9:]) == (["100", "+100.0%"], ["150", "+200.0%"])
    assert "Maps of map, 3x5 cells." in said.out
    assert "left out" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    assert said.err == ""


@pytest.mark.usefixtures("in_place")
def test_the_command_says_what_it_left_out(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", model, *FAST, "--no-naive"]) == 0
    assert "The naive explanation was left out: not asked for." in capsys.readouterr().out


@pytest.mark.usefixtures("in_place")
def test_the_command_speaks_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", model, *FAST, "--json", "--batch", "2", "--mask", "replicated", "--classes", "all"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["model"], read["inputs"]) == (model, {"image": [2, 3, 3, 5]})
    assert [row["name"] for row in read["variants"]] == ["plain", "explained", "naive"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}", "--runs", "0"], "error: --runs does not take '0'"),
        (["{}", "--target", "mop"], "error: no node or tensor named 'mop' among"),
        (["{}.gone"], "no such file"),
    ],
)
def test_the_command_fails_in_one_line(
    model: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["bench", *(argument.format(model) for argument in arguments)]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
