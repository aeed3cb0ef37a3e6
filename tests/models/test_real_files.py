"""Real networks with real weights, from exporters that nobody here ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import onnx_reciprocam as rc
from onnx_reciprocam.models import efficientnet_lite0, fetch

if TYPE_CHECKING:
    import onnx


def source(name: str) -> onnx.ModelProto | str:
    return efficientnet_lite0() if name == "efficientnet-lite0" else str(fetch(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet-lite0", "opennsfw", "rapidocr"])
@pytest.mark.parametrize(
    "options", [{}, {"toggle": True, "classes": "all"}, {"mask": "replicated", "score": "probability"}], ids=str
)
def test_real_files_verify(name: str, options: dict[str, object]) -> None:
    plain = source(name)
    found = rc.verify(rc.rewrite(plain, **options), plain, batches=(1, 2, 5))  # type: ignore[arg-type]
    assert found.passed, found
    assert found.flat < found.maps, found
