"""The explaining branch, from the target to the file's new outputs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import (
    CLASS_IDS_INPUT,
    NO_MASK,
    SALIENCY,
    SALIENCY_CLASSES,
    TOGGLE_INPUT,
    Contract,
    Preprocessing,
    RewriteOptions,
    Upsample,
    VitMask,
)
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.graph import Branch
from onnx_reciprocam.graph.branch import free_name
from onnx_reciprocam.methods import spliced
from onnx_reciprocam.methods.scene import Scene
from onnx_reciprocam.rewriter.class_choice import chosen_classes
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.first_norm import first_norm, has_tokens
from onnx_reciprocam.rewriter.grid import grid_sizes
from onnx_reciprocam.rewriter.limit import check_open, within
from onnx_reciprocam.rewriter.maps import finish
from onnx_reciprocam.rewriter.quantised import check_mask
from onnx_reciprocam.rewriter.spliced import Spliced
from onnx_reciprocam.rewriter.toggle import behind_toggle
from onnx_reciprocam.tail import Walk
from onnx_reciprocam.tail.chunks import ChunkedBranch
from onnx_reciprocam.tail.memory import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.rewriter.network import Network, Target


def open_walk(network: Network, target: Target, branch: Branch, masks: range | None = None) -> Walk:
    """A walk behind ``target`` that emits into ``branch``, for some masks or all; its target is not masked yet."""
    height, width = grid_sizes(network, target, branch)
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
        self.method = spliced(options.method)()
        self.method.check(options)
        self.norm = first_norm(network, target) if options.vit_mask is VitMask.POST_NORM else None
        model, half = network.model, network.half
        self.branch = ChunkedBranch(model, target.tensor, half=half) if masks else Branch(model, half=half)
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
        ids = self._class_ids()
        maps = self._maps(ids, naive=naive)
        outputs = [maps] if ids is None else [maps, ids]
        nodes = self.branch.export(self.inputs, outputs)
        self.memory = peak_bytes(self.network.model, self.network.shapes, nodes, self.network.batch)
        if self.options.toggle:
            outputs = self._toggled(outputs)
        published = [self._published(*entry) for entry in zip(outputs, self._output_infos(), strict=True)]
        return self.branch.export(self.inputs, published)

    def _class_ids(self) -> gs.Tensor | None:
        """int64 ``[B, K]``, or None for all classes."""
        choice = self.options.classes
        if choice.kind != "input":
            return chosen_classes(self.branch, self.network, choice)
        ids = self.branch.input(gs.Variable(self.names[CLASS_IDS_INPUT], np.int64, [self._batch, "K"]))
        self.inputs.append(ids)
        return ids

    def _maps(self, ids: gs.Tensor | None, *, naive: bool) -> gs.Tensor:
        """float32 ``[B, K, H, W]``, finished as the options say."""
        network, scores = self.network, self.network.scores
        scene = Scene(
            network.model,
            network.shapes,
            self.branch,
            self.target.tensor,
            self.target.layout,
            self.walks,
            scores.logits,
            scores.probabilities,
            scores.activation,
            scores.classes,
            ids,
            self.options,
            self.target.zero,
            self.norm,
            network.image_names,
            naive,
        )
        values = self.method.maps(scene)
        if not self.method.for_class:
            values = self._for_every_class(values, ids)
        stacker = self.walk.stacker
        grid = (stacker.height, stacker.width)
        maps = self.branch.reshape(values, [0, 0, *grid])
        return finish(self.branch, maps, self.options, grid=grid, pixels=self._pixels(self.branch))

    def _for_every_class(self, values: gs.Tensor, ids: gs.Tensor | None) -> gs.Tensor:
        """``[B, 1, N]`` -> ``[B, K, N]``."""
        branch, scores = self.branch, self.network.scores
        if ids is not None:
            shape = branch.concat([branch.op("Shape", ids), branch.constant([1])], 0)
        else:
            batch = branch.sizes(scores.output, self.network.shapes.static(scores.output.name))[0]
            shape = branch.vector([batch, scores.classes, 1])
        return branch.op("Expand", values, shape)

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
        explain = self.branch.input(gs.Constant(self.names[TOGGLE_INPUT], np.array(True)))
        self.inputs.append(explain)
        spatial = (
            self._pixels if self.options.upsample is Upsample.INPUT else partial(grid_sizes, self.network, self.target)
        )
        return behind_toggle(self.branch, self.network, explain, outputs, spatial)

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
            mask=options.mask.value if self.method.masks else NO_MASK,
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
            vit_mask=options.vit_mask.value if self.method.masks and has_tokens(self.target) else "",
            norm=self.norm.name if self.norm is not None else "",
        )
