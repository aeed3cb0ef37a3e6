"""``export-triton``: repositories that Triton's own protobuf reads and whose files run as they say."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tritonclient.grpc.model_config_pb2 as protobuf
from google.protobuf import text_format
from onnx import TensorProto, helper
from tiny_networks import Tiny
from tritons import OPTIONS, loads, read

import onnx_reciprocam as rc
from onnx_reciprocam.cli import run
from onnx_reciprocam.deployment import NEXT, Serving, export_triton
from onnx_reciprocam.errors import NotRewrittenError, OptionError, UnsupportedModelError, WriteError

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = np.random.default_rng(0).standard_normal((3, 3, 6, 8)).astype(np.float32)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """An explained file with an open batch."""
    return write(tmp_path / "net.onnx")


def write(path: Path, network: Tiny | None = None, **options: Any) -> Path:
    rc.rewrite((network or Tiny()).build(), path, **options)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_open_batch_is_batched(net: Path, tmp_path: Path) -> None:
    (found,) = export_triton([net], tmp_path / "models")
    assert set(content(tmp_path / "models")) == {"net/1/model.onnx", "net/config.pbtxt"}
    config = loads(found.folder)
    assert config.max_batch_size == 16
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.max_queue_delay_microseconds == 100
    assert not config.dynamic_batching.preferred_batch_size
    assert [(entry.name, list(entry.dims)) for entry in config.output] == [
        ("scores", [5]),
        ("saliency", [1, 3, 4]),
        ("saliency_classes", [1]),
    ]
    assert config.instance_group[0].kind == protobuf.ModelInstanceGroup.KIND_AUTO
    assert config.version_policy.latest.num_versions == 1


def test_the_written_file_is_the_explained_one(net: Path, tmp_path: Path) -> None:
    (found,) = export_triton([net], tmp_path / "models")
    wanted = onnxruntime.InferenceSession(net).run(None, {"image": IMAGES})
    got = onnxruntime.InferenceSession(found.folder / "1" / "model.onnx").run(None, {"image": IMAGES})
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("network", "options", "batch"),
    {
        "predicted": (Tiny(), {}, 16),
        "top": (Tiny(), {"classes": "top:2"}, 16),
        "all": (Tiny(), {"classes": "all"}, 16),
        "input": (Tiny(), {"classes": "input"}, 16),
        "toggle": (Tiny(), {"toggle": True}, 0),
        "static": (Tiny(batch=1), {}, 0),
        "static toggle": (Tiny(batch=2), {"toggle": True, "classes": "input"}, 0),
        "open size": (Tiny(size=("h", "w")), {}, 16),
        "two inputs": (Tiny(vector=True), {}, 16),
        "several outputs": (Tiny(aux=True), {"output": "scores"}, 16),
        "channels last": (Tiny(channels_last=True), {}, 16),
        "upsampled": (Tiny(size=("h", "w")), {"upsample": "input"}, 16),
    }.values(),
)
def test_every_kind_of_file_loads(network: Tiny, options: dict[str, Any], batch: int, tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", network, **options)
    (found,) = export_triton([path], tmp_path / "models")
    assert loads(found.folder).max_batch_size == batch


def test_class_ids_are_an_input_of_any_length(tmp_path: Path) -> None:
    (found,) = export_triton([write(tmp_path / "net.onnx", classes="input")], tmp_path / "models")
    ids = next(entry for entry in read(found.folder).input if entry.name == "saliency_class_ids")
    assert (ids.data_type, list(ids.dims), ids.optional) == (protobuf.TYPE_INT64, [-1], False)


def test_a_switch_is_optional_where_triton_takes_it(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", toggle=True)
    (found,) = export_triton([path], tmp_path / "models")
    config = loads(found.folder)
    switch = next(entry for entry in config.input if entry.name == "explain")
    assert (switch.data_type, list(switch.dims), switch.optional) == (protobuf.TYPE_BOOL, [1], True)
    assert [list(entry.dims) for entry in config.input] == [[-1, 3, 6, 8], [1]]
    assert not config.HasField("dynamic_batching")
    (found,) = export_triton([path], tmp_path / "batched", Serving(max_batch=8))
    config = loads(found.folder)
    assert ([entry.name for entry in config.input], config.max_batch_size) == (["image"], 8)
    session = onnxruntime.InferenceSession(found.folder / "1" / "model.onnx", OPTIONS)
    assert session.run(["saliency"], {"image": IMAGES})[0].shape == (3, 1, 3, 4)


def test_how_it_runs(net: Path, tmp_path: Path) -> None:
    serving = Serving(max_batch=8, queue_delay=2000, preferred=(4, 8), device="gpu", instances=3, versions=2)
    config = loads(export_triton([net], tmp_path / "models", serving)[0].folder)
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    group = config.instance_group[0]
    assert (group.kind, group.count) == (protobuf.ModelInstanceGroup.KIND_GPU, 3)
    assert (config.max_batch_size, config.version_policy.latest.num_versions) == (8, 2)


def test_no_batching_where_none_is_wanted(net: Path, tmp_path: Path) -> None:
    config = loads(export_triton([net], tmp_path / "models", Serving(max_batch=0))[0].folder)
    assert list(config.input[0].dims) == [-1, 3, 6, 8]


def test_labels_and_what_the_file_says(tmp_path: Path) -> None:
    names = ("cat", 'a "quoted" \\ name', "two\nlines", "größe", "tab\there")
    path = write(tmp_path / "net.onnx", labels=names, preprocessing=rc.Preprocessing(size=(6, 8)))
    (found,) = export_triton([path], tmp_path / "models")
    config = loads(found.folder)
    labels = {entry.name: entry.label_filename for entry in config.output}
    assert labels == {"scores": "labels.txt", "saliency": "", "saliency_classes": ""}
    lines = (found.folder / "labels.txt").read_text("utf-8").splitlines()
    assert lines == ["cat", 'a "quoted" \\ name', "two lines", "größe", "tab here"]
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    told = {key: value.string_value for key, value in config.parameters.items()}
    assert told == {key: metadata[key] for key in told}
    assert json.loads(told["reciprocam.outputs"])["saliency"] == "saliency"
    assert json.loads(told["reciprocam.preprocessing"])["size"] == [6, 8]


def test_names_that_text_format_would_choke_on(tmp_path: Path) -> None:
    model = Tiny().build()
    odd = 'im"age\\ \n{}#größe'
    model.graph.input[0].name = odd
    model.graph.node[0].input[0] = odd
    (found,) = export_triton([_saved(rc.rewrite(model), tmp_path)], tmp_path / "models")
    assert loads(found.folder).input[0].name == odd


def _saved(model: onnx.ModelProto, tmp_path: Path) -> Path:
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_other_types(tmp_path: Path) -> None:
    (found,) = export_triton([_with_output(tmp_path, TensorProto.FLOAT16)], tmp_path / "models")
    assert loads(found.folder).output[-1].data_type == protobuf.TYPE_FP16
    path = _with_output(tmp_path, TensorProto.BFLOAT16)
    with pytest.raises(UnsupportedModelError, match=r"output 'cast' is tensor\(bfloat16\), which Triton"):
        export_triton([path], tmp_path / "others")
    assert not (tmp_path / "others").exists()


def _with_output(tmp_path: Path, kind: int) -> Path:
    model = rc.rewrite(Tiny().build())
    model.graph.node.append(helper.make_node("Cast", ["saliency"], ["cast"], to=kind))
    model.graph.output.append(helper.make_tensor_value_info("cast", kind, ["batch", 1, 3, 4]))
    return _saved(model, tmp_path)


def test_external_data_goes_along(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    onnx.save(Tiny().build(), source / "plain.onnx", save_as_external_data=True, size_threshold=0, location="w.bin")
    rc.rewrite(source / "plain.onnx", source / "net.onnx")
    (found,) = export_triton([source / "net.onnx"], tmp_path / "models")
    wanted = onnxruntime.InferenceSession(source / "net.onnx").run(["saliency"], {"image": IMAGES})[0]
    shutil.rmtree(source)
    assert set(content(found.folder)) == {"1/model.onnx", "1/model.onnx.data", "config.pbtxt"}
    loads(found.folder)
    session = onnxruntime.InferenceSession(found.folder / "1" / "model.onnx")
    np.testing.assert_array_equal(session.run(["saliency"], {"image": IMAGES})[0], wanted)


def test_several_models(net: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.onnx", classes="all")
    found = export_triton([net, other], tmp_path / "models")
    assert [loads(model.folder).name for model in found] == ["net", "other"]
    with pytest.raises(OptionError, match=r"--name does not take 'mine'; it takes the name of one file"):
        export_triton([net, other], tmp_path / "more", name="mine")
    with pytest.raises(OptionError, match="--name does not take 'net'; it takes a name per model"):
        export_triton([net, net], tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_versions(net: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    export_triton([net], repository)
    first = content(repository)
    (found,) = export_triton([net], repository, version=NEXT)
    assert (found.version, loads(found.folder, 2).name) == (2, "net")
    assert export_triton([net], repository, version=12)[0].version == 12
    assert export_triton([net], repository, version=NEXT)[0].version == 13
    assert {name: content(repository)[name] for name in first} == first
    assert not list(repository.rglob(".*"))


def test_what_is_there_is_kept(net: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models"
    export_triton([net], repository)
    before = content(repository)
    with pytest.raises(WriteError, match=r"net/1: it exists\. Add a version with --version next, or"):
        export_triton([net], repository)
    with pytest.raises(WriteError, match=r"config\.pbtxt: the one that is there differs\. Replace it for all"):
        export_triton([net], repository, Serving(max_batch=4), version=NEXT)
    other = write(tmp_path / "other.onnx", classes="all")
    with pytest.raises(WriteError, match="net/1: it exists"):
        export_triton([other, net], repository)
    assert content(repository) == before
    (found,) = export_triton([other], repository, Serving(max_batch=4), name="net", overwrite=True)
    assert loads(found.folder).max_batch_size == 4
    assert set(content(repository)) == set(before)


def test_a_failure_leaves_nothing(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", fail)
    with pytest.raises(WriteError, match="new/models/net/1: No space left"):
        export_triton([net], tmp_path / "new" / "models")
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such bits")
def test_other_users_may_read_it(net: Path, tmp_path: Path) -> None:
    """Triton usually runs as somebody else."""
    (found,) = export_triton([net], tmp_path / "models")
    mode = (tmp_path / "models").stat().st_mode
    assert (found.folder / "1").stat().st_mode == mode
    assert (found.folder / "1" / "model.onnx").stat().st_mode == (found.folder / "config.pbtxt").stat().st_mode


def test_a_plain_model_is_refused(tmp_path: Path) -> None:
    onnx.save(Tiny().build(), tmp_path / "plain.onnx")
    with pytest.raises(NotRewrittenError, match="First: onnx-reciprocam rewrite"):
        export_triton([tmp_path / "plain.onnx"], tmp_path / "models")


@pytest.mark.parametrize(
    ("call", "words"),
    {
        "--max-batch 4": r"--max-batch does not take '4'; it takes 0, as the first axis of 'image' is fixed",
        "--preferred-batch 4": r"--preferred-batch does not take '4'; it takes sizes up to 0",
        "--preferred-batch a,b": r"--preferred-batch does not take 'a,b'; it takes whole numbers",
        "--cpu --gpu": r"--cpu does not take '--gpu too'",
        "--version 0": r"--version does not take '0'; it takes a number from 1, next",
        "--name a/b": r"--name does not take 'a/b'; it takes letters",
        "--name ..": r"--name does not take '\.\.'",
    }.items(),
)
def test_a_bad_call(call: str, words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "net.onnx", Tiny(batch=1))
    assert run(["export-triton", str(path), "-o", str(tmp_path / "models"), *call.split()]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(words, line), line
    assert not (tmp_path / "models").exists()


def test_on_the_command_line(net: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call = ["export-triton", str(net), "-o", str(tmp_path / "models")]
    assert run([*call, "--max-batch", "8", "--preferred-batch", "4,8", "--queue-delay", "500", "--cpu"]) == 0
    out, err = capfd.readouterr()
    assert not err
    assert "version 1, max_batch_size: 8" in out
    assert f"tritonserver --model-repository {tmp_path / 'models'}" in out
    config = loads(tmp_path / "models" / "net")
    assert config.instance_group[0].kind == protobuf.ModelInstanceGroup.KIND_CPU
    text_format.MessageToString(config)
