"""More weights than one protobuf can hold: 2 GB is its limit, so they stand in a file beside the model."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from pathlib import Path

CLASSES, ROWS = 5, 110_000_000
BYTES = CLASSES * ROWS * 4
COMMAND = """
import sys
import onnx_reciprocam as rc
rc.rewrite(*sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def write(path: Path) -> None:
    """A small network whose scores are shifted by a row of a table of 2.2 GB; what nobody wrote of the table is zero."""
    rng = np.random.default_rng(0)
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[ROWS, CLASSES])
    table.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": str(BYTES)}.items():
        table.external_data.add(key=key, value=value)
    with path.with_name("weights.bin").open("wb") as file:
        file.write(rng.standard_normal(CLASSES).astype(np.float32).tobytes())
        file.truncate(BYTES)
    make = helper.make_node
    nodes = [
        make("Conv", ["image", "filters"], ["map"], "map"),
        make("Relu", ["map"], ["features"], "features"),
        make("GlobalAveragePool", ["features"], ["pooled"]),
        make("Flatten", ["pooled"], ["flat"]),
        make("MatMul", ["flat", "weights"], ["scores"]),
        make("Gather", ["table", "first"], ["shift"]),
        make("Add", ["scores", "shift"], ["logits"]),
    ]
    small = {
        "filters": rng.standard_normal((8, 3, 1, 1)).astype(np.float32),
        "weights": rng.standard_normal((8, CLASSES)).astype(np.float32),
        "first": np.array(0),
    }
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 4, 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [*(numpy_helper.from_array(value, name) for name, value in small.items()), table],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_model_over_two_gigabytes_in_one_and_a_half_times_its_memory(tmp_path: Path) -> None:
    plain, explained, again = (tmp_path / name for name in ("plain.onnx", "explained.onnx", "again.onnx"))
    write(plain)
    done = subprocess.run([sys.executable, "-c", COMMAND, plain, explained], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 1.5 * BYTES
    image = np.random.default_rng(1).standard_normal((2, 3, 4, 4)).astype(np.float32)
    (wanted,) = ort.InferenceSession(plain).run(None, {"image": image})
    logits, maps, classes = ort.InferenceSession(explained).run(None, {"image": image})
    np.testing.assert_array_equal(logits, wanted)
    assert maps.shape == (2, 1, 4, 4)
    np.testing.assert_array_equal(classes[:, 0], wanted.argmax(1))
    rc.strip(explained, again)
    stripped, original = (onnx.load(path, load_external_data=False).graph for path in (again, plain))
    assert list(stripped.node) == list(original.node)
    assert (tmp_path / "again.onnx.data").stat().st_size == BYTES
