"""Graphs as PyTorch's exporters write them: explained, and equal to the naive explanation."""

from __future__ import annotations

import pytest
from networks import EVERY_WAY
from skeleton import load, names

import onnx_reciprocam as rc

QUICK = [("shufflenet_v2_x1_0", "ts1"), ("mobilenet_v3_small", "tsn"), ("resnet18", "dynamo1"), ("resnet18", "dynamon")]
"""One of each exporter, small enough for every run."""
HEAVY = {"alexnet", "vgg16"}
"""Their hundred million weights take minutes each: once static, once with an open batch."""
ALL = [(name, way) for name, way in names() if name in EVERY_WAY and (name not in HEAVY or way in {"ts1", "dynamon"})]
"""The others are in ``test_zoo.py``."""
KILOBYTES_64 = 64 * 1024
IN_THE_MIDDLE = 25
"""The file grows by at most its 25th part there: index tables, and the background of every layer."""


def check(name: str, exporter: str, *, cells: int | None = None, growth: int = 100, **options: str) -> None:
    plain = load(name, exporter)
    explained = rc.rewrite(plain, **options)
    found = rc.verify(explained, plain, batches=(1, 2, 5), cells=cells)
    assert found.passed, found
    assert found.flat == 0, found
    assert explained.ByteSize() - plain.ByteSize() <= max(plain.ByteSize() // growth, KILOBYTES_64)


@pytest.mark.parametrize(("name", "exporter"), QUICK)
def test_every_cell_of_a_small_network(name: str, exporter: str) -> None:
    check(name, exporter)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), ALL)
def test_every_network_from_every_exporter(name: str, exporter: str) -> None:
    check(name, exporter, cells=8, normalize="none")


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["gaussian", "replicated"])
@pytest.mark.parametrize(("name", "exporter"), QUICK)
def test_the_other_masks(name: str, exporter: str, mask: str) -> None:
    check(name, exporter, mask=mask)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x1_0"])
def test_a_target_in_the_middle(name: str) -> None:
    candidates = rc.inspect(load(name, "ts1")).candidates
    target = [candidate.node for candidate in candidates if candidate.cells == 14 * 14][-1]
    check(name, "ts1", cells=6, growth=IN_THE_MIDDLE, normalize="none", target=target)
