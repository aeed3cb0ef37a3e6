"""``max_memory``: the same maps from cells in chunks, and a process that takes less."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import skeleton
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc
from onnx_reciprocam.contract import ClassChoice, Mask, RewriteOptions, Score, Upsample, parse_bytes
from onnx_reciprocam.errors import OptionError, UnsupportedModelError
from onnx_reciprocam.graph import input_specs, load
from onnx_reciprocam.model_run import ModelRun
from onnx_reciprocam.rewriter import rewrite_with
from onnx_reciprocam.rewriter.network import study

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter import Spliced

TARGET = "target"


def network(batch: int | str = "batch", side: int | str = 12) -> onnx.ModelProto:
    """A feature map of 12x12 cells, two 3x3 convolutions behind it (one of them with a stride), a pool, 5 classes."""
    rng = np.random.default_rng(0)
    shapes = {"w.0": (6, 3, 3, 3), "w.1": (16, 6, 3, 3), "w.2": (16, 16, 3, 3), "b.2": (16,), "w.3": (5, 16)}
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32) / 2, n) for n, s in shapes.items()]
    sides: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    make = helper.make_node
    nodes = [
        make("Conv", ["image", "w.0"], ["map"], TARGET, **sides),
        make("Conv", ["map", "w.1"], ["x.1"], "first", strides=[2, 2], **sides),
        make("Relu", ["x.1"], ["x.2"], "relu"),
        make("Conv", ["x.2", "w.2", "b.2"], ["x.3"], "second", **sides),
        make("GlobalAveragePool", ["x.3"], ["x.4"], "pool"),
        make("Flatten", ["x.4"], ["x.5"], "flatten"),
        make("Gemm", ["x.5", "w.3"], ["logits"], "fc", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, side, side])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 5])
    graph = helper.make_graph(nodes, "g", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def spliced(model: onnx.ModelProto, **options: Any) -> Spliced:
    return rewrite_with(model, None, RewriteOptions(**{"target": TARGET, **options}))


def maps(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values: list[np.ndarray] = session.run(None, {"image": images})
    return values


OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "gaussian": {"mask": Mask.GAUSSIAN},
    "replicated": {"mask": Mask.REPLICATED},
    "all": {"classes": ClassChoice("all", None)},
    "probability": {"score": Score.PROBABILITY, "classes": ClassChoice("top", 3)},
    "enlarged, toggle": {"upsample": Upsample.INPUT, "toggle": True},
}


@pytest.mark.parametrize("batch", ["batch", 1, 3])
@pytest.mark.parametrize("options", OPTIONS)
def test_chunks_make_the_same_maps(options: str, batch: int | str) -> None:
    plain = network(batch)
    whole = spliced(plain, **OPTIONS[options])
    cut = spliced(plain, **OPTIONS[options], max_memory=whole.memory // 2)
    assert whole.chunks == 1 < cut.chunks
    assert cut.memory <= whole.memory // 2
    assert (cut.contract, cut.cost) == (whole.contract, whole.cost)
    onnx.checker.check_model(cut.model, full_check=True)
    images = np.random.default_rng(1).standard_normal((3 if batch == "batch" else batch, 3, 12, 12)).astype(np.float32)
    for got, wanted in zip(maps(cut.model, images), maps(whole.model, images), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    assert rc.strip(cut.model) == plain


@pytest.mark.parametrize("mask", ["pixel", "gaussian", "replicated"])
def test_chunks_equal_the_naive_explanation(mask: str) -> None:
    plain = network()
    limit = spliced(plain, mask=Mask(mask)).memory // 2
    explained = rc.rewrite(plain, target=TARGET, mask=mask, max_memory=f"{limit}B", normalize="none")
    found = rc.verify(explained, plain, batches=(1, 3))
    assert found.passed, str(found)


def test_no_chunks_below_the_limit() -> None:
    plain = network()
    assert spliced(plain, max_memory=10**9).model == spliced(plain).model


def test_values_that_are_no_numbers_shape_nothing() -> None:
    """Weights are reshaped to lengths that hang on the target's first value."""
    plain = network()
    whole = spliced(plain)
    images = np.random.default_rng(1).standard_normal((2, 3, 12, 12)).astype(np.float32)
    images[0] = np.nan
    cut = spliced(plain, max_memory=whole.memory // 2)
    got, wanted = (maps(model.model, images)[1][1] for model in (cut, whole))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [("1B", 1), ("512MB", 512 * 10**6), ("2 gb", 2 * 10**9), ("1.5GiB", 3 << 29)])
def test_sizes_as_people_write_them(size: tuple[str, int]) -> None:
    assert parse_bytes(size[0]) == size[1]


@pytest.mark.parametrize("text", ["", "0MB", "512", "-1GB", "1e9B", "GB", "0.1B", "1 XB", "1,5GB"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(OptionError, match=r"--max-memory does not take .*; it takes a size such as 512MB, 2GB, 1.5GiB"):
        rc.rewrite(network(), max_memory=text)


def test_less_than_one_cell_takes() -> None:
    with pytest.raises(OptionError, match=r"'1kB'; it takes at least \d+kB, which this target takes cell by cell"):
        rc.rewrite(network(), target=TARGET, max_memory="1kB")


def test_a_grid_that_only_a_run_tells() -> None:
    message = "needs a grid that is known when the file is rewritten.*Export with fixed height and width"
    with pytest.raises(UnsupportedModelError, match=message):
        rc.rewrite(network(side="side"), target=TARGET, max_memory="1GB")


@pytest.mark.parametrize("mask", ["pixel", "gaussian", "replicated"])
@pytest.mark.parametrize("name", ["vit.ts1", "vit_registers.dynamon", "mixer.ts1", "cait.dynamon"])
def test_tokens_in_chunks_equal_the_naive_explanation(name: str, mask: str) -> None:
    path = Path(skeleton.__file__).parent / "transformers" / f"{name}.onnx.gz"
    plain = onnx.load_from_string(gzip.decompress(path.read_bytes()))
    whole = spliced(plain, mask=Mask(mask), target=None)
    cut = spliced(plain, mask=Mask(mask), target=None, max_memory=whole.memory * 3 // 4)
    assert cut.chunks > 1
    found = rc.verify(cut.model, plain, batches=(1,) if name.endswith("ts1") else (2,))
    assert found.passed, str(found)


def peak(model: onnx.ModelProto, path: Path) -> float:
    onnx.save(model, path)
    (image,) = input_specs(load(path))
    found = ModelRun(str(path), {image.name: ("float32", (1, 3, 224, 224))}, 1, ["CPUExecutionProvider"]).peak_alone(
        "it"
    )
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_a_process_stays_below_the_limit(name: str, tmp_path: Path) -> None:
    plain = skeleton.load(name, "ts1")
    target = [target for target in study(plain).targets if target.grid == (14, 14)][-1].node
    before = peak(plain, tmp_path / "plain.onnx")
    whole = spliced(plain, target=target)
    cut = spliced(plain, target=target, max_memory=180 * 10**6)
    more = [peak(s.model, tmp_path / "explained.onnx") - before for s in (whole, cut)]
    assert more[0] <= whole.memory / 1e6
    assert more[1] <= 180
    assert more[1] < 0.7 * more[0]
