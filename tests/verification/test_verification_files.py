"""Where models come from, and files that cannot be verified at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from handmade_explained import Explained
from handmade_plain import Plain
from onnx import helper

from onnx_reciprocam.errors import (
    AlreadyRewrittenError,
    InputError,
    MetadataError,
    ModelFileError,
    NotRewrittenError,
    OptionError,
    ProbeError,
    UnsupportedModelError,
)
from onnx_reciprocam.verification import verify

if TYPE_CHECKING:
    from pathlib import Path


def with_entries(model: onnx.ModelProto, **entries: str) -> onnx.ModelProto:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, metadata | {f"reciprocam.{key}": value for key, value in entries.items()})
    return model


def test_bytes() -> None:
    original = Plain().build().SerializeToString()
    explained = with_entries(Explained().build(), source_sha256=hashlib.sha256(original).hexdigest())
    assert verify(explained.SerializeToString(), original).passed


@pytest.mark.parametrize("elsewhere", ["new.onnx", "deeper/new.onnx"])
def test_external_data_may_move_but_not_change(tmp_path: Path, elsewhere: str) -> None:
    old, new = tmp_path / "old.onnx", tmp_path / elsewhere
    new.parent.mkdir(exist_ok=True)
    onnx.save(Plain().build(), old, save_as_external_data=True, location="old.data", size_threshold=0)
    digest = hashlib.sha256(old.read_bytes() + (tmp_path / "old.data").read_bytes()).hexdigest()
    explained = with_entries(Explained().build(), source_sha256=digest)
    onnx.save(explained, new, save_as_external_data=True, location="new.data", size_threshold=100)
    found = verify(str(new), old)
    assert found.passed, str(found)

    data = bytearray((new.parent / "new.data").read_bytes())
    data[3] ^= 1  # the sign or exponent of the first weight
    (new.parent / "new.data").write_bytes(data)
    assert "initializers" in {check.name for check in verify(new, old).failures}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4  # nothing was written beside them


def test_missing_external_data(tmp_path: Path) -> None:
    onnx.save(Plain().build(), tmp_path / "old.onnx", save_as_external_data=True, location="old.data", size_threshold=0)
    (tmp_path / "old.data").unlink()
    with pytest.raises(ModelFileError, match=r"old\.data' is missing"):
        verify(Explained().build(), tmp_path / "old.onnx")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"garbage", "does not parse"), (b"", "no graph with outputs"), (None, "No such file")]
)
def test_no_model(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"broken\.onnx.*{reason}"):
        verify(path, Plain().build())


def test_an_original_that_does_not_load() -> None:
    original = Plain().build()
    original.graph.node[0].op_type = "Convolve"
    with pytest.raises(ModelFileError, match="the original model: onnxruntime cannot load it"):
        verify(Explained().build(original), original)


def test_two_plain_models() -> None:
    with pytest.raises(NotRewrittenError, match="First: onnx-reciprocam rewrite"):
        verify(Plain().build(), Plain().build())


def test_two_rewritten_models() -> None:
    with pytest.raises(AlreadyRewrittenError, match="the original model is explained already"):
        verify(Explained().build(), Explained().build())


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"mask": "round"}, "round"),
        ({"classes": "some"}, "some"),
        ({"outputs": '{"score": "scores", "saliency": "saliency"}'}, "it names no saliency_classes"),
        ({"version": "2"}, "format version '2'"),
        ({"method": "gradcam"}, "method 'gradcam' with mask 'pixel'"),
    ],
)
def test_damaged_metadata(entries: dict[str, str], reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        verify(with_entries(Explained().build(), **entries), Plain().build())


def test_what_has_no_oracle() -> None:
    with pytest.raises(UnsupportedModelError, match=r"has the layout 'b c \(h w\)'.*verify knows b c h w"):
        verify(with_entries(Explained().build(), layout="b c (h w)"), Plain().build())


def test_a_target_of_integers() -> None:
    plain = Plain(kind=onnx.TensorProto.INT32)
    with pytest.raises(
        UnsupportedModelError, match=r"'features' holds tensor\(int32\).*Only floats and quantised values"
    ):
        verify(Explained(plain).build(), plain.build())


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ({"picture": np.zeros((2, 3, 12, 16))}, "'picture': the model has no such input; it has image"),
        (np.zeros((3, 3, 12, 16)), "3 images do not fill batches of 2"),
        (np.zeros((0, 3, 12, 16)), "0 images"),
    ],
)
def test_images_that_do_not_fit(images: Any, reason: str) -> None:
    explained = Explained(Plain(batch=2))
    with pytest.raises(InputError, match=reason):
        verify(explained.build(), explained.plain.build(), images)


def test_images_of_another_size() -> None:
    with pytest.raises(ModelFileError, match="the original model: onnxruntime cannot run it"):
        verify(Explained().build(), Plain().build(), np.zeros((1, 3, 13, 16)))


def test_no_cells() -> None:
    with pytest.raises(OptionError, match="--cells does not take '0'"):
        verify(Explained().build(), Plain().build(), cells=0)


def fixed_inside(plain: Plain, shape: list[int]) -> onnx.ModelProto:
    """The plain model, but its image must have this shape, whatever it declares."""
    model = plain.build()
    model.graph.node[0].input[0] = "reshaped"
    model.graph.node.insert(0, helper.make_node("Reshape", ["image", "inside"], ["reshaped"], name="fixed"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape), "inside"))
    return model


def test_a_batch_that_the_original_cannot_run_is_skipped_aloud() -> None:
    plain = Plain()
    original = fixed_inside(plain, [1, 3, 12, 16])
    found = verify(Explained(plain).build(original), original)
    assert found.passed, str(found)
    assert "skipped, the original fails" in str(found)


def test_an_original_that_never_runs() -> None:
    plain = Plain(batch=2)
    original = fixed_inside(plain, [1, 3, 12, 16])
    with pytest.raises(ProbeError, match="the model does not run in onnxruntime"):
        verify(Explained(plain).build(original), original)
