"""Counting paths against deleting tensors one by one, on random graphs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import onnx.parser
import onnx_graphsurgeon as gs
from hypothesis import given
from hypothesis import strategies as st

from onnx_reciprocam.graph import bypass, descendants, dominators, load, reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Wiring = list[tuple[list[str], list[str], str]]
"""Inputs, outputs and operator of every node, in topological order."""


@st.composite
def wirings(draw: st.DrawFn) -> Wiring:
    """Graphs over the images ``i0, i1`` and a constant ``c``; some nodes have two outputs or read shapes only."""
    known, wiring = ["i0", "i1", "c"], []
    for number in range(draw(st.integers(1, 9))):
        inputs = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        outputs = [f"t{number}.{k}" for k in range(draw(st.sampled_from([1, 1, 1, 2])))]
        wiring.append((inputs, outputs, draw(st.sampled_from(["Op", "Op", "Op", "Op", "Shape"]))))
        known += outputs
    return wiring


def built(wiring: Wiring) -> list[gs.Node]:
    return [gs.Node(op, "", {}, [*map(gs.Variable, ins)], [*map(gs.Variable, outs)]) for ins, outs, op in wiring]


def reached(wiring: Wiring, sources: Iterable[str], without: str = "") -> set[str]:
    """Tensors that data from ``sources`` gets to when one tensor is deleted."""
    found = set(sources) - {without}
    for inputs, outputs, op in wiring:
        if op != "Shape" and found.intersection(inputs):
            found.update(name for name in outputs if name != without)
    return found


def tensors(wiring: Wiring) -> list[str]:
    return ["i0", "i1", *(name for _, outputs, _ in wiring for name in outputs)]


IMAGES = st.sampled_from([("i0",), ("i1",), ("i0", "i1")])


@given(wirings(), IMAGES, st.data())
def test_dominators_are_what_nothing_gets_past(wiring: Wiring, images: Sequence[str], data: st.DataObject) -> None:
    score = data.draw(st.sampled_from(wiring[-1][1]))
    wanted = set()
    if score in reached(wiring, images):
        wanted = {name for name in tensors(wiring) if score not in reached(wiring, images, without=name)}
    found = dominators(built(wiring), images, score)
    assert set(found) == wanted
    assert found == [name for name in tensors(wiring) if name in wanted]


@given(wirings(), IMAGES, st.data())
def test_bypass_is_a_path_around_the_target(wiring: Wiring, images: Sequence[str], data: st.DataObject) -> None:
    score = data.draw(st.sampled_from(wiring[-1][1]))
    target = data.draw(st.sampled_from([name for name in tensors(wiring) if name not in {"i0", "i1"}]))
    path = bypass(built(wiring), images, score, target)
    assert bool(path) == (score in reached(wiring, images, without=target))
    if path:
        assert path[0] in images
        assert path[-1] == score
        assert target not in path
        edges = {(a, b) for ins, outs, op in wiring if op != "Shape" for a in ins for b in outs}
        assert edges.issuperset(pairwise(path))


@given(wirings(), st.data())
def test_descendants_are_what_is_reached(wiring: Wiring, data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(tensors(wiring)))
    assert descendants(built(wiring), [source]) == reached(wiring, [source])


def test_a_diamond_of_a_hundred_diamonds_is_counted() -> None:
    """2 ** 100 paths: more than any machine word."""
    wiring: Wiring = []
    last = "i0"
    for number in range(100):
        left, right, end = f"l{number}", f"r{number}", f"e{number}"
        wiring += [([last], [left], "Op"), ([last], [right], "Op"), ([left, right], [end], "Op")]
        last = end
    assert dominators(built(wiring), ["i0"], "e99") == ["i0", *(f"e{number}" for number in range(100))]


def test_what_a_subgraph_captures_is_read() -> None:
    model = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["": 17]>
        branches (float[b, 3] x, bool c) => (float[b, 3] y)
        {
            a = Relu(x)
            b = Neg(x)
            y = If(c) <
                then_branch = then () => (float[b, 3] p) { t = Exp(a) p = Add(t, t) },
                else_branch = otherwise () => (float[b, 3] n) { n = Identity(b) }
            >
        }
        """
    )
    nodes = load(model).graph.nodes
    assert set(reads(nodes[2])) == {"c", "a", "b"}
    assert dominators(nodes, ["x"], "y") == ["x", "y"]
    assert bypass(nodes, ["x"], "y", "a") == ["x", "b", "y"]
    assert descendants(nodes, ["a"]) == {"a", "y"}
