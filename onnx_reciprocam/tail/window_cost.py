"""When a window has grown over most of the map: whether a convolution is cheaper on one copy per mask.

A list of pairs computes less than whole maps but moves more: every product is written, gathered and added up, where a
convolution on a map keeps its sums in registers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx_reciprocam.tail.pairs import Spread
    from onnx_reciprocam.tail.window_call import WindowCall

COVERS = 0.7
"""Share of the cells of all masks from which on giving up the list is considered: what follows costs little more then."""
PER_VALUE = 20
"""Multiply-adds that take as long as moving one float32 to or from memory (measured on desktop and server CPUs: 10 to 40)."""


def grown_over(call: WindowCall, reached: Spread) -> str:
    """Why the convolution of ``call`` is cheaper multiplied out, or nothing if it is not."""
    pairs, weights = reached.pairs, call.shape(1)
    share = len(pairs) / (pairs.masks * pairs.cells)
    if share < COVERS:
        return ""
    (channels, *before), (out, *after) = call.shape(0)[1:], call.result()[1:]
    products = sum(block.pairs.size * block.taps.size for block in reached.blocks)
    summed = sum(table.size for table in reached.tables)
    listed = products * out * weights[1] + PER_VALUE * (
        (products + 3 * summed + 3 * len(pairs)) * out + 2 * len(call.window.pairs) * channels
    )
    whole = pairs.masks * math.prod(after) * math.prod(weights) + PER_VALUE * pairs.masks * (
        channels * math.prod(before) + out * math.prod(after)
    )
    return f"its window covers {share:.0%} of the map" if whole < listed else ""
