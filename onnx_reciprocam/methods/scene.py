"""What a method that is spliced into the file sees of the network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx_reciprocam.contract import RewriteOptions, Score
from onnx_reciprocam.gradients import Backward, Stretch, stretch
from onnx_reciprocam.methods.cells import cells_last
from onnx_reciprocam.methods.probabilities import are_independent, by_logits, probabilities
from onnx_reciprocam.tail import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Branch, Model, Shapes, Size
    from onnx_reciprocam.tail import Walk


@dataclass(frozen=True, eq=False)
class Scene:
    """The plain network, cut at the target, and the branch that a method writes into.

    Args:
        model: The network.
        shapes: Of all its tensors.
        branch: Receives the nodes.
        target: The tensor whose cells are explained.
        layout: Its axes, as einops writes them.
        walks: Ready to carry the masked target to the scores: one, or where memory is limited one per chunk of cells.
        logits: The scores before a trailing Softmax or Sigmoid.
        probabilities: Those behind it, or None.
        activation: The trailing operator in small letters, or ``none``.
        classes: How many.
        ids: The classes of each image, int64 ``[B, K]``; None for all.
        options: What the user asked for.
        zero: What stands for zero in the target.
        norm: With ``post-norm``, the tensor behind the target that is masked as well.
        images: Names of the inputs that take the images.
        naive: Whether to take the slow way.
    """

    model: Model
    shapes: Shapes
    branch: Branch
    target: gs.Tensor
    layout: str
    walks: Sequence[Walk]
    logits: gs.Tensor
    probabilities: gs.Tensor | None
    activation: str
    classes: int
    ids: gs.Tensor | None
    options: RewriteOptions
    zero: int
    norm: gs.Tensor | None
    images: Sequence[str]
    naive: bool

    @property
    def walk(self) -> Walk:
        """The first."""
        return self.walks[0]

    @cached_property
    def features(self) -> gs.Tensor:
        """A: the target's cells, float32 ``[B, C, N]``; of tokens, the patches."""
        return cells_last(self.branch, self.target, self.layout, self.shapes.static(self.target.name))

    @cached_property
    def tail(self) -> Stretch:
        """From the target to the logits."""
        return Stretch(self.model, self.shapes, self.target, self.logits, self.shapes.inputs[self.images[0]][0])

    @cached_property
    def stretch(self) -> Stretch:
        """The tail, to be differentiated.

        Raises:
            GradientError: The image's size is open.
        """
        return stretch(self.model, self.shapes, self.target, self.logits, self.images)

    @cached_property
    def batch(self) -> Size:
        """How many images."""
        return self.branch.sizes(self.target, self.shapes.static(self.target.name))[self.layout.split().index("b")]

    @cached_property
    def gradients(self) -> gs.Tensor:
        """g: the class score differentiated by every cell, float32 ``[B, K, C, N]``.

        Raises:
            GradientError: An operator of the tail has no gradient rule.
        """
        seeds = self.directions(self.branch, self.logits)
        found = Backward(self.stretch).emit(self.branch, seeds, self.batch)
        self.charge("Gradient", self.options.classes.count or self.classes)
        return cells_last(self.branch, found, self.layout, self.shapes.static(self.target.name), directions=True)

    def charge(self, term: str, times: int, *, whole: bool = False) -> None:
        """Note what runs cost that a method adds.

        Args:
            term: What they are, for the report.
            times: How many; a backward pass of one class costs about as much as a run.
            whole: Whether they are of the whole network instead of the tail.
        """
        behind = {node.output[0] for node in self.tail.nodes}
        for node in self.model.graph.nodes:
            if node.outputs and (whole or node.outputs[0].name in behind):
                cost = self.walk.multiply_adds(node) * times
                self.walk.notes.append(Note(node.name or node.outputs[0].name, node.op, term, cost))

    def directions(self, branch: Branch, logits: gs.Tensor) -> gs.Tensor:
        """The explained scores differentiated by the logits, ``[*logits, K]``: for ``logit`` 1 at the class itself.

        Args:
            branch: Receives the nodes.
            logits: Of the run that is differentiated.
        """
        wanted = self._one_hot(branch, logits)
        if self.options.score is Score.PROBABILITY:
            shares = self._scores(branch, logits, Score.PROBABILITY)
            wanted = by_logits(branch, shares, wanted, independent=self._independent)
        shape = self.shapes.static(self.logits.name)
        lengths = branch.sizes(logits, shape)
        return branch.cast(branch.reshape(wanted, [*lengths, -1]), self.dtype(self.logits))

    def chosen(self, branch: Branch, logits: gs.Tensor, score: Score) -> gs.Tensor:
        """The scores of the explained classes, float32 ``[B, K]``, of a run with these logits."""
        values = branch.unsqueeze(self._scores(branch, logits, score), [1])
        return branch.reshape(branch.op("MatMul", values, self._one_hot(branch, logits)), [0, -1])

    def _scores(self, branch: Branch, logits: gs.Tensor, score: Score) -> gs.Tensor:
        """Of every class, float32 ``[B, classes]``."""
        values = branch.cast(branch.reshape(logits, [-1, self.classes]), np.float32)
        return values if score is Score.LOGIT else probabilities(branch, values, independent=self._independent)

    @property
    def _independent(self) -> bool:
        """Whether each class has a probability of its own."""
        return are_independent(self.activation, self.classes)

    def _one_hot(self, branch: Branch, logits: gs.Tensor) -> gs.Tensor:
        """1 at the classes that are explained, float32 ``[B, classes, K]``; ``logits`` tell how many images there are."""
        if self.ids is not None:
            every = branch.constant(np.arange(self.classes), hint="classes")
            ids = branch.op("Gather", every, self.ids, axis=0)  # refuses a class that does not exist
            column = branch.reshape(every, [1, self.classes, 1])
            return branch.cast(branch.equal(column, branch.unsqueeze(ids, [1])), np.float32)
        batch = branch.sizes(logits, self.shapes.static(self.logits.name))[0]
        one = branch.constant(np.eye(self.classes)[None], np.float32, hint="every_class")
        return branch.op("Expand", one, branch.vector([batch, self.classes, self.classes]))

    def dtype(self, tensor: gs.Tensor) -> np.dtype[np.generic]:
        """The element type of one of the network's tensors; float32 where inference does not know."""
        number = self.shapes.types.get(tensor.name, onnx.TensorProto.FLOAT)
        return onnx.helper.tensor_dtype_to_np_dtype(number)
