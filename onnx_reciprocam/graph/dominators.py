"""Which tensors carry all that the score knows of the image.

A tensor *dominates* the score if every path of data from the image to the score goes through it. Paths are counted:
tensor t dominates exactly if ``paths(image -> t) * paths(t -> score)`` is the number of all paths. Python's integers
are as long as the counts of a DenseNet need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx_graphsurgeon as gs

SHAPE_ONLY = frozenset({"Shape", "Size"})
"""Operators that read no values: what follows them depends on the image's size alone."""


def reads(node: gs.Node) -> list[str]:
    """Names of the tensors whose values a node uses, those captured by its subgraphs included."""
    if node.op in SHAPE_ONLY:
        return []
    names = [tensor.name for tensor in node.inputs if tensor.name]
    for graph in node.subgraphs():
        made = {tensor.name for inner in graph.nodes for tensor in inner.outputs} | {t.name for t in graph.inputs}
        names += [name for inner in graph.nodes for name in reads(inner) if name not in made]
        names += [tensor.name for tensor in graph.outputs if tensor.name not in made]
    return names


def descendants(nodes: Sequence[gs.Node], sources: Iterable[str]) -> set[str]:
    """Every tensor whose value depends on one of ``sources``, those included; nodes in topological order."""
    reached = set(sources)
    for node in nodes:
        if any(name in reached for name in reads(node)):
            reached.update(tensor.name for tensor in node.outputs if tensor.name)
    return reached


def dominators(nodes: Sequence[gs.Node], images: Iterable[str], score: str) -> list[str]:
    """The dominators of ``score``, from the image to the score itself; empty if the score ignores the image."""
    images = set(images)
    down = _count_down(nodes, images)
    up = _count_up(nodes, score)
    total = sum(down.get(name, 0) * up.get(name, 0) for name in images)
    ordered = [*images, *(tensor.name for node in nodes for tensor in node.outputs)]
    return [name for name in ordered if total and down.get(name, 0) * up.get(name, 0) == total]


def _count_down(nodes: Sequence[gs.Node], images: set[str]) -> dict[str, int]:
    paths = dict.fromkeys(images, 1)
    for node in nodes:
        if count := sum(paths.get(name, 0) for name in reads(node)):
            paths.update((tensor.name, count) for tensor in node.outputs if tensor.name)
    return paths


def _count_up(nodes: Sequence[gs.Node], score: str) -> dict[str, int]:
    paths = {score: 1}
    for node in reversed(nodes):
        if count := sum(paths.get(tensor.name, 0) for tensor in node.outputs):
            for name in reads(node):
                paths[name] = paths.get(name, 0) + count
    return paths


def bypass(nodes: Sequence[gs.Node], images: Iterable[str], score: str, target: str) -> list[str]:
    """Tensors along one path from the image to the score that avoids ``target``; empty if there is none."""
    came_from: dict[str, str | None] = dict.fromkeys(images)
    for node in nodes:
        source = next((name for name in reads(node) if name in came_from), None)
        if source is not None:
            came_from.update((t.name, source) for t in node.outputs if t.name and t.name != target)
    path: list[str] = []
    step: str | None = score if score in came_from else None
    while step is not None:
        path.append(step)
        step = came_from[step]
    return path[::-1]
