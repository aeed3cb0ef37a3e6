"""Every architecture that people export: rewritten with no option, it is exact or it is refused by name."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from measure import measure
from networks import EVERY_WAY, LARGER, TWO_WAYS, exporters_of
from skeleton import FOLDER, image_size, load, names
from table import NOT_EXPORTED
from weights import drop_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEWEST = dict(sorted(names(), key=lambda entry: entry[1], reverse=True))
LATER = [pytest.param(*entry, id=".".join(entry)) for entry in NEWEST.items() if entry[0] not in {*EVERY_WAY, *LARGER}]
"""One graph of each network, torch.export's where there is one; the table in docs/zoo.md has all of them."""
LARGEST_FOLDER = 6_000_000
LEAST_SPREAD = 1e-3


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < LARGEST_FOLDER


def test_what_is_missing_could_not_be_exported() -> None:
    wanted = {(name, exporter) for name in (*EVERY_WAY, *TWO_WAYS, *LARGER) for exporter in exporters_of(name)}
    with NOT_EXPORTED.open(newline="") as file:
        excused = {(row["network"], row["exporter"]) for row in csv.DictReader(file) if not row["remedy"]}
    assert set(names()) | excused == wanted
    assert not set(names()) & excused


def test_masks_and_tables_are_kept_and_weights_are_not() -> None:
    rng = np.random.default_rng(0)
    mask = np.where(rng.random((4, 49, 49)) < 0.5, np.float32(0), np.float32(-100))
    bias = rng.standard_normal((169, 3), np.float32)[rng.integers(169, size=2401)].reshape(1, 3, 49, 49)
    angles = np.repeat(np.sin(np.arange(512, dtype=np.float32)), 16)
    read_by = {"mask": ("Add", mask), "bias": ("Add", bias), "angles": ("Mul", angles), "scale": ("Mul", bias[0, 0, 0])}
    graph = onnx.GraphProto(name="constants")
    for name, (operator, values) in read_by.items():
        graph.initializer.append(onnx.numpy_helper.from_array(values, name))
        graph.node.append(onnx.helper.make_node(operator, ["x", name], [f"{name}.out"]))
    model = onnx.helper.make_model(graph)
    drop_weights(model)
    assert [tensor.name for tensor in model.graph.initializer if tensor.doc_string] == ["bias", "scale"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), LATER)
def test_outputs_are_finite_and_images_differ(name: str, exporter: str) -> None:
    model = load(name, exporter)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    images = [noise(seed, image_size(name)) for seed in range(3)]
    logits = np.concatenate([session.run(None, {"input": image})[0] for image in images])
    assert np.std(logits - logits.mean(axis=0)) > 0.03 * np.std(logits)  # NaN is not either
    assert 0.3 < np.std(logits) < 3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), LATER)
def test_no_wrong_map(name: str, exporter: str) -> None:
    row = measure(name, exporter)
    assert row.kind != "wrong", row.verdict
    assert row.kind != "exact" or row.spread > LEAST_SPREAD, row
    assert row.grown <= 1, row


def noise(seed: int, side: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((1, 3, side, side), np.float32)
