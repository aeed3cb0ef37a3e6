"""Maps cost hardly a byte: no mask and no second copy of a weight is written into the file."""

from __future__ import annotations

from typing import Any

import pytest
import skeleton

import onnx_reciprocam as rc

QUICK = {"squeezenet1_1", "mobilenet_v3_small"}
OF_EVERY_KIND = {
    *(("convnext_tiny", "ts1"), ("densenet121", "dynamon"), ("efficientnet_b0", "ts1"), ("mobilenet_v2", "dynamon")),
    *(("resnet50", "ts1"), ("swin_t", "dynamon"), ("vit_tiny_patch16_224", "dynamon"), ("xcit_nano_12_p16_224", "ts1")),
}
"""With the options that every network of the zoo is not rewritten with."""
KILOBYTE = 1024
OPTIONS: list[dict[str, Any]] = [
    {},
    {"toggle": True},
    {"mask": "gaussian", "score": "probability", "classes": "top:5", "upsample": "input", "toggle": True},
    {"classes": "all"},
]


def check(name: str, exporter: str, options: dict[str, Any]) -> None:
    plain = skeleton.load(name, exporter)
    explained = rc.rewrite(plain, **options)
    grown = explained.ByteSize() - plain.ByteSize()
    assert grown <= max(plain.ByteSize() // 100, 64 * KILOBYTE)
    assert rc.strip(explained) == plain


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "exporter"), [entry for entry in skeleton.names() if entry[0] in QUICK][::3])
def test_the_file_hardly_grows(name: str, exporter: str, options: dict[str, Any]) -> None:
    check(name, exporter, options)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
@pytest.mark.parametrize(("name", "exporter"), [entry for entry in skeleton.names() if entry in OF_EVERY_KIND])
def test_no_file_grows_much(name: str, exporter: str, options: dict[str, Any]) -> None:
    check(name, exporter, options)
