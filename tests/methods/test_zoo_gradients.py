"""Networks that people export, with every method beside ReciproCAM: maps of finite differences, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from cells_in_numpy import cells, everywhere
from rewritten import network
from skeleton import names
from tail_in_doubles import Tail
from tiny_tails import CASES, TARGET
from zoo_gradients import METHODS, measure, off_along_random_directions
from zoo_gradients_table import DOCUMENT, page, stored

SOME = [
    ("alexnet", "dynamon"),
    ("caformer_s18", "ts1"),
    ("coat_lite_tiny", "dynamon"),
    ("convnext_tiny", "dynamon"),
    ("crossvit_tiny_240", "ts1"),
    ("deit_tiny_distilled_patch16_224", "dynamon"),
    ("densenet121", "dynamon"),
    ("efficientnet_b0", "dynamon"),
    ("hgnetv2_b0", "dynamon"),
    ("levit_128s", "dynamon"),
    ("mobilenet_v2", "ts1"),
    ("nf_regnet_b0", "ts1"),
    ("resnet18", "dynamon"),
    ("swin_t", "dynamon"),
    ("vit_b_16", "dynamon"),
]
"""Of each kind of tail one: pooled, flat, normed, attending, and one without a target; with uneven padding, steps in slices
and means that hang over further in front."""


def test_the_page_is_what_was_measured() -> None:
    rows = stored()
    assert DOCUMENT.read_text() == page(rows)
    assert {(row["network"], row["exporter"]) for row in rows} <= set(names())


def test_no_map_is_wrong() -> None:
    kinds = {row["verdict"].split(":")[0] for row in stored()}
    assert kinds <= {"right", "refused", "unjudged"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exporter"), SOME, ids=[".".join(entry) for entry in SOME])
def test_maps_are_as_the_page_says(name: str, exporter: str) -> None:
    (known,) = (row for row in stored() if (row["network"], row["exporter"]) == (name, exporter))
    found = measure(name, exporter)
    assert found.verdict == known["verdict"]
    assert {method for method in METHODS if found.maps.get(method) == "refused"} == {
        method for method in METHODS if known[method] == "refused"
    }


# the judge ----------------------------------------------------------------------------------------------------------


def test_a_gradient_that_is_off_by_a_thousandth_is_found() -> None:
    slow, images = network("depthwise, swish"), CASES["depthwise, swish"].images(2)
    tail = Tail(slow.model, TARGET, slow.logits, images)
    ids = np.array([[0, 2], [1, 0]])
    features = tail.given[TARGET].astype(np.float64)
    every = slow.gradient(features)  # [classes, B, C, H, W]
    g = np.stack([np.stack([every[k, i] for k in row], axis=-1) for i, row in enumerate(ids)])
    assert off_along_random_directions(tail, g, ids) < 0.1
    assert off_along_random_directions(tail, g * 1.001, ids) > 1
    assert off_along_random_directions(tail, g[..., ::-1], ids) > 1
    assert off_along_random_directions(tail, g[:, :, ::-1], ids) > 1


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("b c h w", (2, 3, 4, 5)), ("b h w c", (2, 4, 5, 3)), ("b 1+hw c", (2, 21, 3)), ("2+hw+1 b c", (23, 2, 3))],
)
def test_cells_of_a_vector_everywhere(layout: str, shape: tuple[int, ...]) -> None:
    vectors = np.arange(1.0, 7).reshape(2, 3)
    whole = everywhere(vectors, layout, shape)
    assert whole.shape == shape
    np.testing.assert_array_equal(cells(whole, layout), np.repeat(vectors[:, :, None], 20, axis=2))
    assert whole.sum() == 20 * vectors.sum()
