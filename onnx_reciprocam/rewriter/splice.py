"""The explaining branch, from the target to the file's new outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import (
    CLASS_IDS_INPUT,
    SALIENCY,
    SALIENCY_CLASSES,
    TOGGLE_INPUT,
    Contract,
    Preprocessing,
    RewriteOptions,
    Score,
    Upsample,
    VitMask,
)
from onnx_reciprocam.errors import OptionError, UnsupportedModelError
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.graph.branch import free_name
from onnx_reciprocam.methods.reciprocam import class_scores, masked
from onnx_reciprocam.methods.token_masks import masked_tokens
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.first_norm import first_norm, has_tokens
from onnx_reciprocam.rewriter.limit import check_open, check_tokens, within
from onnx_reciprocam.rewriter.maps import finish
from onnx_reciprocam.rewriter.quantised import check_mask
from onnx_reciprocam.rewriter.spliced import Spliced
from onnx_reciprocam.tail import Walk, axes_of
from onnx_reciprocam.tail.chunks import ChunkedBranch
from onnx_reciprocam.tail.memory import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.rewriter.network import Network, Target
    from onnx_reciprocam.tail import Axes


def grid_sizes(target: Target, branch: Branch) -> list[Size]:
    """Height and width of the grid, read at run time where dynamic."""
    return list(target.token_grid or target.of_grid(branch.sizes(target.tensor, target.shape)))


def open_walk(network: Network, target: Target, branch: Branch, masks: range | None = None) -> Walk:
    """A walk behind ``target`` that emits into ``branch``, for some masks or all; its target is not masked yet."""
    height, width = grid_sizes(target, branch)
    copies = target.cells if masks is None else len(masks)
    return Walk(network.model, network.shapes, branch, target.tensor, grid=(height, width), copies=copies, masks=masks)


@deeply()
def splice(
    network: Network,
    target: Target,
    options: RewriteOptions,
    *,
    naive: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> Spliced:
    """Write the branch and append it.

    Args:
        network: The plain model.
        target: One of its targets.
        options: What the user asked for.
        naive: One copy of the tail per mask from the start; for checks and benchmarks, whatever memory it takes.
        preprocessing: Written into the metadata for whoever runs the file.
        labels: Likewise.

    Raises:
        NoNormError: ``--vit-mask post-norm`` does not fit the target.
        OptionError: More classes asked for than there are, an option that the opset cannot express, or too little memory.
        UnsupportedModelError: The tail has something that cannot be carried or cut, or the file's IR version no toggle.
    """
    check_mask(target, options.mask)
    whole = splicer = _Splicer(network, target, options, naive=naive)
    if options.max_memory is not None and not naive:
        splicer = _limited(options.max_memory, whole)
    contract = splicer.contract(preprocessing, tuple(labels))
    return Spliced(
        network.model.appended(splicer.graph, contract.to_metadata()),
        contract,
        whole.walk.notes,
        network.cost,
        network.batch,
        splicer.memory,
        len(splicer.walks),
    )


def _limited(limit: int, whole: _Splicer) -> _Splicer:
    """``whole``, or in chunks if that takes too much memory."""
    network, target, options = whole.network, whole.target, whole.options
    check_open(target)
    if whole.memory <= limit:
        return whole
    check_tokens(target, whole.walk.notes)
    return within(limit, target.seen_grid, whole, lambda masks: _Splicer(network, target, options, masks=masks))


class _Splicer:
    """What the steps of one splice share: the branch, the walk, and the names that go into the contract."""

    def __init__(
        self,
        network: Network,
        target: Target,
        options: RewriteOptions,
        *,
        naive: bool = False,
        masks: Sequence[range] = (),
    ) -> None:
        self.network, self.target, self.options = network, target, options
        self.norm = first_norm(network, target) if options.vit_mask is VitMask.POST_NORM else None
        self.branch = ChunkedBranch(network.model, target.tensor) if masks else Branch(network.model)
        lots: Sequence[range | None] = masks or [None]
        self.walks = [open_walk(network, target, self.branch, some) for some in lots]
        self.walk = self.walks[0]
        taken = set(network.model.names())
        public = (SALIENCY, SALIENCY_CLASSES, CLASS_IDS_INPUT, TOGGLE_INPUT)
        self.names = {name: free_name(name, taken) for name in public}
        self.inputs: list[gs.Tensor] = []
        self.memory = 0
        self.graph = self._graph(naive=naive)

    def _graph(self, *, naive: bool) -> onnx.GraphProto:
        """The finished branch with its public inputs and outputs."""
        for walk in self.walks:
            walk.start(masked(walk, self._axes, self.options.mask, self._dtype, zero=self.target.zero, naive=naive))
            if self.norm is not None:
                dtype = self.network.dtype(self.norm)
                norm = masked_tokens(walk, self.norm, self._axes, self.options.mask, dtype, naive=naive)
                walk.start(norm, self.norm)
        ids = self._class_ids()
        maps = self._maps(ids)
        outputs = [maps] if ids is None else [maps, ids]
        nodes = self.branch.export(self.inputs, outputs)
        self.memory = peak_bytes(self.network.model, self.network.shapes, nodes, self.network.batch)
        if self.options.toggle:
            outputs = self._toggled(outputs)
        published = [self._published(*entry) for entry in zip(outputs, self._output_infos(), strict=True)]
        return self.branch.export(self.inputs, published)

    @property
    def _axes(self) -> Axes:
        return axes_of(self.target.layout, self.target.seen)

    @property
    def _dtype(self) -> np.dtype[np.generic]:
        return self.network.dtype(self.target.tensor)

    def _class_ids(self) -> gs.Tensor | None:
        """int64 ``[B, K]``, or None for all classes."""
        choice, scores, branch = self.options.classes, self.network.scores, self.branch
        if choice.kind == "all":
            return None
        if choice.kind == "input":
            ids = branch.input(gs.Variable(self.names[CLASS_IDS_INPUT], np.int64, [self._batch, "K"]))
            self.inputs.append(ids)
            return ids
        if choice.count is not None and choice.count > scores.classes:
            raise OptionError("--classes", str(choice), (f"at most top:{scores.classes}, the number of classes",))
        values: gs.Tensor = scores.output
        if self.network.dtype(values) not in {np.dtype(np.float32), np.dtype(np.float64)}:
            values = branch.cast(values, np.float32)
        if len(self.network.shapes.seen[scores.output.name]) > 2:
            values = branch.reshape(values, [0, scores.classes] if self._classes_second else [-1, scores.classes])
        if choice.kind == "predicted":
            return branch.op("ArgMax", values, axis=1, keepdims=1)
        if branch.opset < 10:
            return branch.emit("TopK", [values], outputs=2, axis=1, k=choice.count)[1]
        return branch.emit("TopK", [values, branch.constant([choice.count])], outputs=2, axis=1)[1]

    @property
    def _classes_second(self) -> bool:
        return self.network.shapes.seen[self.network.scores.output.name][1] == self.network.scores.classes

    def _maps(self, ids: gs.Tensor | None) -> gs.Tensor:
        """float32 ``[B, K, H, W]``, finished as the options say."""
        scores, wanted = self.network.scores, self.options.score
        squashed = wanted is Score.PROBABILITY and scores.probabilities is not None
        source = scores.probabilities if squashed else scores.logits
        every = [class_scores(walk, source, ids, wanted, squashed=squashed) for walk in self.walks]
        values: gs.Tensor = every[0] if len(every) == 1 else self.branch.concat(every, 2)
        if self.network.dtype(source) != np.float32:
            values = self.branch.cast(values, np.float32)
        stacker = self.walk.stacker
        maps = self.branch.reshape(values, [0, 0, stacker.height, stacker.width])
        grid = (stacker.height, stacker.width)
        return finish(self.branch, maps, self.options, grid=grid, pixels=self._pixels(self.branch))

    def _pixels(self, branch: Branch) -> list[Size]:
        """Height and width of the picture, where maps are wanted at that size."""
        if self.options.upsample is Upsample.NONE:
            return []
        image = self.network.image
        if not image.spatial:
            raise OptionError("--upsample", "input", ("none, since no input of this model is a picture",))
        sizes = branch.sizes(self.network.model.tensors[image.name], image.shape)
        return [sizes[axis] for axis in image.spatial]

    def _toggled(self, outputs: Sequence[gs.Tensor]) -> list[gs.Tensor]:
        """The branch so far behind an ``If`` on :data:`TOGGLE_INPUT`; without it, no maps."""
        if self.network.model.proto.ir_version < 4:
            raise UnsupportedModelError(
                "--toggle has no effect in a file of IR version 3, where callers cannot override a default",
                "Set ir_version = 4 in the model first, or rewrite without --toggle",
            )
        explain = self.branch.input(gs.Constant(self.names[TOGGLE_INPUT], np.array(True)))
        self.inputs.append(explain)
        then_outputs = [self.branch.op("Identity", tensor) for tensor in outputs]
        self.branch.prune(then_outputs)
        then = gs.Graph(self.branch.nodes, [], then_outputs, name="explained", opset=self.branch.opset)
        off = Branch(self.network.model, f"{self.branch.namespace}off")
        batch = off.slice(off.op("Shape", self.network.scores.output), 0, 1, 0)
        spatial = self._pixels(off) or grid_sizes(self.target, off)
        empty = [off.op("ConstantOfShape", off.vector([batch, 0, *spatial]), value=_zero(np.float32))]
        if len(outputs) > 1:
            empty.append(off.op("ConstantOfShape", off.vector([batch, 0]), value=_zero(np.int64)))
        otherwise = gs.Graph(off.nodes, [], empty, name="plain", opset=off.opset)
        self.branch.nodes = []
        return list(self.branch.emit("If", [explain], outputs=len(outputs), then_branch=then, else_branch=otherwise))

    def _published(self, tensor: gs.Tensor, info: gs.Variable) -> gs.Variable:
        """``tensor`` under its public name."""
        self.branch.nodes.append(
            gs.Node("Identity", self.branch.name(info.name), {}, [self.branch.read(tensor)], [info])
        )
        return info

    def _output_infos(self) -> list[gs.Variable]:
        choice, scores = self.options.classes, self.network.scores
        count: int | str = scores.classes if choice.kind == "all" else choice.count or "K"
        count = "K" if self.options.toggle else count
        spatial = self.target.grid if self.options.upsample is Upsample.NONE else self._declared_pixels
        sizes = [
            name if size is None else size for name, size in zip(("map_height", "map_width"), spatial, strict=True)
        ]
        infos = [gs.Variable(self.names[SALIENCY], np.float32, [self._batch, count, *sizes])]
        if choice.kind != "all":
            infos.append(gs.Variable(self.names[SALIENCY_CLASSES], np.int64, [self._batch, count]))
        return infos

    @property
    def _declared_pixels(self) -> list[int | None]:
        image = self.network.image
        return [image.shape[axis] for axis in image.spatial]

    @property
    def _batch(self) -> int | str:
        """The batch as the image input declares it."""
        entry = next(e for e in self.network.model.proto.graph.input if e.name == self.network.image.name)
        dim = entry.type.tensor_type.shape.dim[0]
        return dim.dim_value if self.network.image.shape[0] is not None else dim.dim_param or "batch"

    def contract(self, preprocessing: Preprocessing | None, labels: tuple[str, ...]) -> Contract:
        """The metadata of the finished file."""
        options, classes = self.options, self.options.classes.kind
        outputs = {"score": self.network.scores.output.name, SALIENCY: self.names[SALIENCY]}
        if classes != "all":
            outputs[SALIENCY_CLASSES] = self.names[SALIENCY_CLASSES]
        inputs = {"image": self.network.image.name}
        if classes == "input":
            inputs[CLASS_IDS_INPUT] = self.names[CLASS_IDS_INPUT]
        if options.toggle:
            inputs[TOGGLE_INPUT] = self.names[TOGGLE_INPUT]
        return Contract(
            target=self.target.tensor.name,
            method=options.method,
            mask=options.mask.value,
            score=options.score.value,
            classes=str(options.classes),
            normalize=options.normalize.value,
            upsample=options.upsample.value,
            activation=self.network.scores.activation,
            layout=self.target.layout,
            grid=self.target.grid,
            outputs=outputs,
            inputs=inputs,
            namespace=self.branch.namespace,
            source_sha256=self.network.model.sha256,
            preprocessing=preprocessing,
            labels=labels,
            vit_mask=options.vit_mask.value if has_tokens(self.target) else "",
            norm=self.norm.name if self.norm is not None else "",
        )


def _zero(dtype: type[np.generic]) -> gs.Constant:
    return gs.Constant("zero", np.zeros(1, dtype))
