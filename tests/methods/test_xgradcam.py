"""XGradCAM against its formula, derivatives by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from rewritten import assert_same, oracle, rewritten, run


@pytest.mark.parametrize("name", ["conv, relu", "depthwise, hard swish", "channels last around", "vit, any batch"])
def test_maps_are_those_of_the_formula(name: str) -> None:
    maps = oracle(name)
    slow, features = maps.slow, maps.features
    g, a = slow.cells(slow.gradient(features)), slow.cells(features)  # [classes, B, C, N] and [B, C, N]
    weights = (g * a).sum(-1) / (a.sum(-1) + 1e-7)
    wanted = np.maximum(np.einsum("cbk,bkn->bcn", weights, a), 0)
    assert_same(run(rewritten(name, "xgradcam"), maps.images)["saliency"], wanted)
