"""The plain model with what a black-box method asks for as further outputs: scores, a target's channels, gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import Score
from onnx_reciprocam.gradients import Backward, stretch
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.graph.branch import free_name
from onnx_reciprocam.methods.cells import cells_last
from onnx_reciprocam.methods.probabilities import are_independent, by_logits, probabilities
from onnx_reciprocam.refusals import GradientError
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.grid import grid_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from onnx_reciprocam.rewriter.network import Network, Target


@dataclass(frozen=True)
class Questions:
    """A model to ask.

    Args:
        model: The plain model with more outputs, and for gradients one more input.
        outputs: Their names: ``[scores]``, ``[scores, features, grid]`` or ``[gradient]``.
        weights: Name of that input; empty without gradients.
    """

    model: onnx.ModelProto
    outputs: Sequence[str]
    weights: str = ""


@deeply()
def asking_scores(network: Network, score: Score, target: Target | None = None) -> Questions:
    """Scores of every class, float32 ``[B, classes]``; with ``target`` its channels ``[B, C, N]`` and its grid as well."""
    branch = Branch(network.model)
    made: list[tuple[str, gs.Tensor, type[np.generic]]] = [("scores", _scores(branch, network, score), np.float32)]
    if target is not None:
        cells = cells_last(branch, target.tensor, target.layout, target.shape)
        made += [
            ("features", cells, np.float32),
            ("grid", branch.vector(grid_sizes(network, target, branch)), np.int64),
        ]
    return _asking(network, branch, [], made)


@deeply()
def asking_gradients(network: Network, score: Score) -> Questions:
    """The gradient of a weighted sum of scores by the image, in the image's own layout and type.

    Raises:
        GradientError: An operator has no gradient rule, or the image takes whole numbers.
    """
    branch, image = Branch(network.model), network.model.tensors[network.image.name]
    if network.dtype(image).kind != "f":
        raise GradientError(f"input {image.name!r} takes whole numbers, by which nothing is differentiated")
    name = free_name(f"{branch.namespace}weights", set(network.model.names()))
    logits, classes = network.scores.logits, network.scores.classes
    weights = branch.input(gs.Variable(name, np.float32, ["images", classes]))
    seeds: gs.Tensor = weights
    if score is Score.PROBABILITY:
        shares = _scores(branch, network, score)
        seeds = by_logits(branch, shares, branch.unsqueeze(weights, [2]), independent=_independent(network))
    lengths = branch.sizes(logits, network.shapes.static(logits.name))
    seeds = branch.cast(branch.reshape(seeds, [*lengths, 1]), network.dtype(logits))
    tail = stretch(network.model, network.shapes, image, logits, network.image_names)
    found = Backward(tail).emit(branch, seeds, branch.sizes(image, network.image.shape)[0])
    sizes = branch.sizes(image, network.shapes.static(image.name))
    gradient = branch.cast(branch.reshape(found, sizes), np.float32)
    return _asking(network, branch, [weights], [("gradient", gradient, np.float32)])


def _independent(network: Network) -> bool:
    return are_independent(network.scores.activation, network.scores.classes)


def _scores(branch: Branch, network: Network, score: Score) -> gs.Tensor:
    """float32 ``[B, classes]``; probabilities that the file makes itself are taken as they are."""
    scores = network.scores
    made = scores.probabilities if score is Score.PROBABILITY else None
    source = scores.logits if made is None else made
    values = branch.cast(branch.reshape(source, [-1, scores.classes]), np.float32)
    if score is Score.LOGIT or made is not None:
        return values
    return probabilities(branch, values, independent=_independent(network))


def _asking(
    network: Network,
    branch: Branch,
    inputs: Sequence[gs.Tensor],
    made: Sequence[tuple[str, gs.Tensor, type[np.generic]]],
) -> Questions:
    outputs = []
    for role, tensor, dtype in made:
        info = gs.Variable(f"{branch.namespace}{role}", dtype, None)
        branch.nodes.append(gs.Node("Identity", branch.name(f"ask_{role}"), {}, [branch.read(tensor)], [info]))
        outputs.append(info)
    model = network.model.appended(branch.export(inputs, outputs), {})
    return Questions(model, [info.name for info in outputs], inputs[0].name if inputs else "")
