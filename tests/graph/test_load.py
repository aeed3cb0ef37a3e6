"""What is read comes back as it was, and what is refused is refused for a reason."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import onnx
import onnx.parser
import pytest
import skeleton
from networks import EVERY_WAY
from onnx import TensorProto, helper

from onnx_reciprocam.errors import ModelFileError, NodeNotFoundError, UnsupportedModelError
from onnx_reciprocam.graph import load, save

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
SHIPPED = sorted(DATA.rglob("*.onnx"))
QUICK = {"squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x1_0"}
NEWEST = dict(sorted(skeleton.names(), key=lambda entry: entry[1], reverse=True))
"""One graph of each network."""
OLD = re.compile(r"is written in opset [0-8], older than 9\. Convert it: .*convert_version")


def check_round_trip(path: Path, folder: Path) -> None:
    model = load(path)
    _ = model.graph, model.tensors, list(model.names())  # reading changes nothing
    save(model.proto, folder / "again.onnx", source_folder=model.folder, overwrite=True)
    assert (folder / "again.onnx").read_bytes() == path.read_bytes()
    assert onnx.load(folder / "again.onnx") == onnx.load(path)


def test_every_model_that_onnx_ships_comes_back_or_is_too_old(tmp_path: Path) -> None:
    for path in SHIPPED:
        opset = next(entry.version for entry in onnx.load(path).opset_import if entry.domain in {"", "ai.onnx"})
        if opset >= 9:
            check_round_trip(path, tmp_path)
            continue
        with pytest.raises(UnsupportedModelError, match=OLD):
            load(path)


def check_skeleton(name: str, exporter: str, folder: Path) -> None:
    onnx.save(skeleton.load(name, exporter), folder / "plain.onnx")
    check_round_trip(folder / "plain.onnx", folder)


@pytest.mark.parametrize(("name", "exporter"), [entry for entry in skeleton.names() if entry[0] in QUICK])
def test_a_real_network_comes_back(name: str, exporter: str, tmp_path: Path) -> None:
    check_skeleton(name, exporter, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), [entry for entry in NEWEST.items() if entry[0] in EVERY_WAY])
def test_every_real_network_comes_back(name: str, exporter: str, tmp_path: Path) -> None:
    check_skeleton(name, exporter, tmp_path)


TEXT = """
<ir_version: 8, opset_import: ["": 17]>
tiny (float[b, 3] x) => (float[b, 3] y) <float[3] w = {1.0, 2.0, 3.0}>
{ [first] a = Mul(x, w) [second] y = Relu(a) }
"""


def test_path_bytes_and_proto_are_one_model(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(TEXT)
    data = proto.SerializeToString(deterministic=True)
    (tmp_path / "m.onnx").write_bytes(data)
    models = [load(source) for source in (proto, data, tmp_path / "m.onnx", str(tmp_path / "m.onnx"))]
    assert all(model.proto == proto for model in models)
    assert len({model.sha256 for model in models}) == 1


def test_sha256_is_the_files_own(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(TEXT)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    assert load(tmp_path / "m.onnx").sha256 == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nothing\.onnx: no such file"):
        load(tmp_path / "nothing.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is a folder; name the \.onnx file in it"):
        load(tmp_path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match=r"cannot be read \(Not a directory\)"):
        load(tmp_path / "file" / "m.onnx")


@pytest.mark.parametrize("data", [b"", b"\x00", b"hello, world", b"\xff" * 100, b"PK\x03\x04rest of a zip"])
def test_no_onnx(data: bytes) -> None:
    with pytest.raises(ModelFileError, match="the model: is no ONNX file"):
        load(data)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_download(share: float, tmp_path: Path) -> None:
    data = onnx.parser.parse_model(TEXT).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelFileError, match=r"m\.onnx: (is no ONNX file|fails onnx's checker)"):
        load(tmp_path / "m.onnx")


def test_an_invalid_graph() -> None:
    model = onnx.parser.parse_model(TEXT)
    model.graph.node[0].input[0] = "nobody"
    with pytest.raises(ModelFileError, match=r"fails onnx's checker: .*nobody"):
        load(model)


@pytest.mark.parametrize("opset", [1, 6, 8])
def test_an_old_opset(opset: int) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "old", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    if opset < 6:
        node.attribute.append(helper.make_attribute("consumed_inputs", [0]))
        model.graph.node[0].CopyFrom(node)
    with pytest.raises(UnsupportedModelError, match=OLD):
        load(model)


def test_no_opset_of_onnx_at_all() -> None:
    node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", keys_floats=[1.0], values_floats=[2.0])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([node], "ml", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 2)], ir_version=8)
    with pytest.raises(UnsupportedModelError, match="opset 0, older than 9"):
        load(model)


def test_a_node_and_a_tensor_are_found_by_name() -> None:
    model = load(onnx.parser.parse_model(TEXT))
    assert [model.find(name).name for name in ("first", "a", "second", "x", "w")] == ["a", "a", "y", "x", "w"]


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(NodeNotFoundError, match=r"no node or tensor named 'frist' among 6; did you mean 'first'\?"):
        load(onnx.parser.parse_model(TEXT)).find("frist")
    with pytest.raises(NodeNotFoundError, match=r"no name is close\. List candidates: onnx-reciprocam inspect"):
        load(onnx.parser.parse_model(TEXT)).find("0123456789")
