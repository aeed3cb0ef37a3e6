"""What holds for every method that is spliced into a file, the next one included."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from tiny_networks import Tiny

import onnx_reciprocam as rc
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.methods import InGraph, methods, spliced

SPLICED = [name for name, kind in methods().items() if issubclass(kind, InGraph)]
OPTIONS: dict[str, dict[str, Any]] = {
    "toggle": {"toggle": True},
    "all": {"classes": "all"},
    "asked and toggled": {"classes": "input", "toggle": True},
    "probability of two, enlarged": {"score": "probability", "classes": "top:2", "upsample": "input"},
}
IMAGES = np.random.default_rng(0).standard_normal((3, 3, 6, 8))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("opset", [9, 11, 17, 21])
@pytest.mark.parametrize("method", SPLICED)
def test_every_opset_and_option(method: str, opset: int, options: str) -> None:
    how = OPTIONS[options]
    if not spliced(method).scored:
        how = how | {"score": "logit"}
    plain = Tiny(opset=opset).build()
    explained = rc.rewrite(plain, method=method, normalize="none", **how)
    onnx.checker.check_model(explained, full_check=True)
    found = rc.verify(explained, plain)
    assert found.passed, str(found)
    session = rc.ExplainedSession(explained.SerializeToString())
    asked = {"class_ids": [[0, 4]] * 3} if OPTIONS[options].get("classes") == "input" else {}
    assert np.isfinite(session(IMAGES, **asked).saliency).all()
    if OPTIONS[options].get("toggle"):
        assert session(IMAGES, explain=False, **asked).saliency.shape == (3, 0, 3, 4)


@pytest.mark.parametrize(
    "kind", [{"channels_last": True}, {"vector": True}, {"half": True}, {"ending": "Softmax"}, {"batch": 1}]
)
@pytest.mark.parametrize("method", SPLICED)
def test_images_of_a_batch_do_not_meet(method: str, kind: dict[str, Any]) -> None:
    plain = Tiny(**kind).build()
    images = IMAGES.transpose(0, 2, 3, 1) if kind.get("channels_last") else IMAGES
    session = rc.ExplainedSession(rc.rewrite(plain, method=method, classes="all").SerializeToString())

    def run(some: slice) -> Any:
        others = {"vector": np.arange(6.0).reshape(3, 2)[some]} if kind.get("vector") else {}
        return session(images[some], **others).saliency

    alone = np.concatenate([run(slice(i, i + 1)) for i in range(3)])
    if kind.get("batch") != 1:
        np.testing.assert_allclose(run(slice(3)), alone, atol=2e-2 if kind.get("half") else 1e-4)
    assert (np.ptp(alone, (2, 3)) > 0).any()


@pytest.mark.parametrize("method", [name for name in SPLICED if not spliced(name).scored])
def test_a_score_that_changes_nothing_is_refused(method: str) -> None:
    with pytest.raises(OptionError, match="--score does not take 'probability'; it takes logit with --method"):
        rc.rewrite(Tiny().build(), method=method, score="probability")
