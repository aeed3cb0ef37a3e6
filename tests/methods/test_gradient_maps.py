"""Methods that need derivatives, against finite differences of the plain file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rewritten import EVERY, assert_same, network, noise, oracle, rewritten, run, spread
from skeleton import transformer
from slow_maps import GRADIENTS, Slow, SlowMaps
from tiny_tails import (
    CASES,
    TARGET,
    TRANSFORMERS,
    Net,
    channels_last_around,
    convnext,
    pooled,
    residual_dense,
    swish,
    turned,
)

import onnx_reciprocam as rc

SMOOTH = "smoothgradcam++"
NORMED = {"hirescam": TRANSFORMERS}
"""Networks whose maps are zero but for rounding, see :func:`test_hirescam_vanishes_ahead_of_a_norm`."""


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, method) for name in EVERY for method in GRADIENTS if name not in NORMED.get(method, ())],
)
def test_maps_are_those_of_finite_differences(name: str, method: str) -> None:
    explained, slow = rewritten(name, method), oracle(name)
    wanted = slow.maps(method)
    for batch in {len(slow.images), 1} if isinstance(EVERY[name].batch, int) else {1, 2, 3}:
        if EVERY[name].batch in {batch, "batch"}:
            found = run(explained, slow.images[:batch])["saliency"]
            assert_same(found, wanted[:batch])


@pytest.mark.parametrize("name", [*(name for name in CASES if name != "residual, dense"), "convnext, batch of 3"])
def test_smooth_maps_are_those_of_the_noise_in_the_file(name: str) -> None:
    explained, slow = rewritten(name, SMOOTH), oracle(name)
    added = noise(explained)
    assert added.shape == (4, 1, *slow.images.shape[1:])
    assert np.std(added.astype(np.float64)) == pytest.approx(0.3, rel=0.15)
    assert_same(run(explained, slow.images)["saliency"], slow.maps(SMOOTH, added))


def test_smooth_maps_are_not_those_without_noise() -> None:
    name = "depthwise, swish"
    plain, smooth = (run(rewritten(name, method), oracle(name).images)["saliency"] for method in ("gradcam++", SMOOTH))
    assert float(np.abs(plain - smooth).max()) > 1e-2 * spread(plain)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    method=st.sampled_from(["gradcam", "layercam", "hirescam"]),
    tail=st.sampled_from([pooled, swish, residual_dense, convnext, channels_last_around]),
    channels=st.sampled_from([2, 3, 5]),
    grid=st.tuples(st.integers(1, 4), st.integers(2, 4)),
    batch=st.integers(1, 3),
    fixed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_number_of_channels_cells_and_images(
    *, method: str, tail: object, channels: int, grid: tuple[int, int], batch: int, fixed: bool, seed: int
) -> None:
    net = Net(batch if fixed else "batch", channels, grid, seed=seed)
    tail(net)  # type: ignore[operator]
    last = tail is channels_last_around
    slow = Slow(net.model(), "nhwc" if last else TARGET, "logits", "b h w c" if last else "b c h w")
    images = np.random.default_rng(seed).standard_normal((batch, 3, 2 * grid[0], 2 * grid[1])).astype(np.float32)
    wanted = SlowMaps(slow, images).maps(method)
    assume(spread(wanted) > 1e-2 * np.abs(wanted).max() > 1e-6)
    explained = rc.rewrite(slow.model, method=method, target=slow.target, classes="all", normalize="none")
    assert_same(run(explained, images)["saliency"], wanted)


@pytest.mark.parametrize("height", [5, 7])
def test_lengths_may_equal_the_batches_that_were_tried(height: int) -> None:
    """Of two passes, made for 5 and for 7 images, one has a shape in common with what is no batch."""
    net = Net(grid=(height, 2))
    turned(net)
    slow = Slow(net.model(), TARGET, "logits")
    images = np.random.default_rng(1).standard_normal((3, 3, 2 * height, 4)).astype(np.float32)
    explained = rc.rewrite(slow.model, method="gradcam", target=TARGET, classes="all", normalize="none")
    assert_same(run(explained, images)["saliency"], SlowMaps(slow, images).maps("gradcam"))


def test_heads_and_tokens_may_equal_each_other() -> None:
    plain = transformer("vit.dynamon")
    slow = Slow(plain, "add_169", "logits", "b n c", extra=1)
    images = np.random.default_rng(1).standard_normal((2, 3, 48, 48)).astype(np.float32)
    explained = rc.rewrite(plain, method="gradcam", target="add_169", classes="all", normalize="none")
    assert_same(run(explained, images)["saliency"], SlowMaps(slow, images).maps("gradcam"))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_hirescam_vanishes_ahead_of_a_norm(name: str) -> None:
    """A norm ignores the length of a token, so that its gradient is at right angles to it: there HiResCAM says nothing."""
    slow = oracle(name)
    assert np.abs(slow.maps("hirescam")).max() < 1e-4 * slow.maps("layercam").max()
    found = run(rewritten(name, "hirescam"), slow.images)["saliency"]
    assert np.abs(found).max() < 1e-4 * slow.maps("layercam").max()


@pytest.mark.parametrize("method", [*GRADIENTS, SMOOTH])
def test_cells_are_those_of_the_layout(method: str) -> None:
    """The same network, hooked ahead of the Transpose to NHWC and behind it."""
    slow = network("channels last")
    first, last = (
        rc.rewrite(slow.model, method=method, target=target, classes="all", normalize="none")
        for target in (TARGET, "nhwc")
    )
    images = CASES["channels last"].images(2)
    assert_same(run(last, images)["saliency"], run(first, images)["saliency"])
