"""Options that mean nothing to a method are left out of a shared list, and refused where the method is asked alone."""

from __future__ import annotations

from typing import Any

import pytest

from onnx_reciprocam.contract import RewriteOptions
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.explainers import suited
from onnx_reciprocam.methods import BlackBox, InGraph, methods

GIVEN: dict[str, Any] = {
    "mask": "gaussian",
    "vit_mask": "post-norm",
    "max_memory": "1GB",
    "toggle": True,
    "upsample": "input",
    "score": "probability",
    "target": "map",
    "samples": 5,
    "seed": 1,
    "classes": "all",
    "normalize": "none",
}
FOR_ALL = {"classes", "normalize"}


@pytest.mark.parametrize("method", methods())
def test_what_is_left_out_is_what_is_refused(method: str) -> None:
    kept = suited(method, GIVEN)
    assert set(kept) >= FOR_ALL
    methods()[method].refuse(kept)
    for name in GIVEN.keys() - kept.keys():
        flag = f"--{name.replace('_', '-')}"
        with pytest.raises(OptionError, match=rf"^{flag} does not take '{GIVEN[name]}'; it takes (nothing|logit) "):
            methods()[method].refuse({name: GIVEN[name]})


@pytest.mark.parametrize("method", methods())
def test_what_was_not_asked_for_is_not_refused(method: str) -> None:
    methods()[method].refuse({})
    methods()[method].refuse(dict.fromkeys(GIVEN))
    methods()[method].refuse(vars(RewriteOptions()))


def test_each_kind_has_its_own() -> None:
    kept = {name: set(suited(name, GIVEN)) - FOR_ALL for name in methods()}
    masks = {"mask", "vit_mask", "max_memory"}
    for name, kind in methods().items():
        if issubclass(kind, InGraph):
            assert kept[name] - masks - {"score"} == {"toggle", "upsample", "target"}
            assert (masks <= kept[name]) == (name == "reciprocam")
        else:
            assert issubclass(kind, BlackBox)
            assert kept[name] - {"target", "samples", "seed"} == {"score"}
    assert kept["occlusion"] == {"score"}
    assert kept["rise"] == {"score", "samples", "seed"}
    assert kept["scorecam"] == {"score", "target"}
    assert "score" not in kept["eigencam"]
