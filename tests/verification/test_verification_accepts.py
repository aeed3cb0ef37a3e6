"""Right files pass: every option, layout and batch, with explanations that were written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from handmade_explained import Explained
from handmade_plain import Plain
from onnx import TensorProto

from onnx_reciprocam.verification import verify

RIGHT = {
    "defaults": Explained(),
    "channels last": Explained(Plain(layout="b h w c")),
    "static batch": Explained(Plain(batch=3)),
    "no batch axis": Explained(Plain(batch=1, ending=("Reshape",))),
    "unknown batch": Explained(Plain(batch="n")),
    "bypass": Explained(Plain(bypass=True)),
    "top 3": Explained(classes="top:3"),
    "all classes": Explained(classes="all"),
    "asked classes": Explained(classes="input"),
    "gaussian": Explained(mask="gaussian"),
    "replicated": Explained(mask="replicated"),
    "channels last, gaussian, top 2": Explained(Plain(layout="b h w c"), mask="gaussian", classes="top:2"),
    "logits before softmax": Explained(Plain(ending=("Softmax",))),
    "logits before sigmoid, reshaped": Explained(Plain(batch=1, ending=("Sigmoid", "Reshape"))),
    "logits before log-softmax": Explained(Plain(ending=("LogSoftmax",))),
    "probability after softmax": Explained(Plain(ending=("Softmax",)), score="probability", mask="replicated"),
    "probability of logits": Explained(score="probability"),
    "probability of log-softmax": Explained(Plain(ending=("LogSoftmax",)), score="probability"),
    "minmax": Explained(normalize="minmax", classes="top:2"),
    "upsampled": Explained(upsample="input"),
    "upsampled, minmax": Explained(upsample="input", normalize="minmax"),
    "toggle": Explained(toggle=True, classes="top:2"),
    "half precision": Explained(Plain(kind=TensorProto.FLOAT16)),
    "bfloat16": Explained(Plain(kind=TensorProto.BFLOAT16)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_file_passes(name: str) -> None:
    explained = RIGHT[name]
    found = verify(explained.build(), explained.plain.build())
    assert found.passed, str(found)
    assert found.worst < 0.5
    assert found.flat == 0


def test_both_batch_sizes_are_compared() -> None:
    found = verify(Explained().build(), Plain().build())
    names = [check.name for check in found.checks]
    assert {"maps, batch 1", "maps, batch 2"} <= set(names)
    assert found.maps == 3


def test_a_static_batch_is_the_only_one() -> None:
    explained = Explained(Plain(batch=3))
    names = [check.name for check in verify(explained.build(), explained.plain.build()).checks]
    assert [name for name in names if name.startswith("maps")] == ["maps, batch 3"]


def test_the_toggle_is_checked_when_the_file_has_one() -> None:
    with_toggle, without = (verify(Explained(toggle=on).build(), Plain().build(), batches=[1]) for on in (True, False))
    assert [check.name for check in with_toggle.checks if "toggle" in check.name] == ["toggle, batch 1"]
    assert not any("toggle" in check.name for check in without.checks)


def test_given_images_are_used_in_batches_of_the_model() -> None:
    explained = Explained(Plain(batch=2))
    images = np.random.default_rng(3).standard_normal((4, 3, 12, 16))
    found = verify(explained.build(), explained.plain.build(), images)
    assert found.passed, str(found)
    assert {"maps, images 0-1", "maps, images 2-3"} <= {check.name for check in found.checks}


def test_flat_maps_are_counted() -> None:
    images = {"image": np.stack([np.zeros((3, 12, 16)), np.random.default_rng(3).standard_normal((3, 12, 16))])}
    found = verify(Explained(normalize="minmax").build(), Plain().build(), images)
    assert found.passed, str(found)
    assert (found.maps, found.flat) == (2, 1)
    assert "1 too flat to compare" in str(found)


def test_half_precision_says_how_it_was_compared() -> None:
    explained = Explained(Plain(kind=TensorProto.FLOAT16))
    found = verify(explained.build(), explained.plain.build(), batches=[1])
    assert "half precision: tolerance 0.00390625" in str(found)


def test_sampled_cells() -> None:
    found = verify(Explained().build(), Plain().build(), cells=5)
    assert found.passed
    assert "5 of 12 cells" in str(found)


def test_a_normalised_map_needs_all_cells() -> None:
    found = verify(Explained(normalize="minmax").build(), Plain().build(), cells=5)
    assert found.passed
    assert "12 of 12 cells" in str(found)


def test_the_table_has_a_row_per_check() -> None:
    found = verify(Explained().build(), Plain().build(), batches=[1])
    assert found.rows()[0][:2] == ("source", "ok")
    assert len(found.rows()) == len(found.checks)
    assert str(found).endswith("passed")
