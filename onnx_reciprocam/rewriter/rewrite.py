"""The public face of rewriting: a plain model in, an explained one out, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.contract import Contract, Preprocessing, RewriteOptions
from onnx_reciprocam.errors import InputError
from onnx_reciprocam.graph import check_writable, load, save
from onnx_reciprocam.methods import spliced as spliced_by
from onnx_reciprocam.rewriter.depth import deeply
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import Network, study
from onnx_reciprocam.rewriter.quantised import SIGNED, has_signed_pairs
from onnx_reciprocam.rewriter.reach import reaches
from onnx_reciprocam.rewriter.splice import splice

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from onnx_reciprocam.graph import InputSpec, ModelSource
    from onnx_reciprocam.rewriter.network import Target
    from onnx_reciprocam.rewriter.spliced import Spliced

FLAT = "The score no longer depends on the cells of {!r}: its maps are flat. `inspect` marks the targets that reach the score."


def rewrite(
    model: ModelSource,
    destination: str | os.PathLike[str] | None = None,
    *,
    target: str | None = None,
    method: str = "reciprocam",
    mask: str = "pixel",
    vit_mask: str = "residual",
    score: str = "logit",
    classes: str = "predicted",
    output: str | None = None,
    normalize: str = "minmax",
    upsample: str = "none",
    toggle: bool = False,
    max_memory: str | None = None,
    overwrite: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> onnx.ModelProto:
    """Splice saliency maps into a classifier, so that one ``session.run`` returns predictions and why.

    Args:
        model: Path, bytes or ``ModelProto`` of a plain model.
        destination: Where to write the explained file; None only returns it.
        target: Name of the node or tensor whose cells are masked; the last one possible if None.
        method: ``reciprocam``, or another that is spliced into the file: ``onnx-reciprocam methods`` lists them.
        mask: ``pixel``, ``gaussian`` or ``replicated``.
        vit_mask: ``residual``, or ``post-norm`` to mask tokens behind the first norm of their block as well.
        score: ``logit`` or ``probability``.
        classes: ``predicted``, ``all``, ``top:K`` or ``input``.
        output: The output to explain; the first that scores classes if None.
        normalize: ``minmax`` or ``none``.
        upsample: ``none`` (one value per cell) or ``input`` (one per pixel of the input).
        toggle: Put the maps behind an optional bool input ``explain``.
        max_memory: What the maps may add to a run, ``512MB`` or ``1.5GiB``: above it, cells are explained in chunks, one
            after the other. It holds for one image where the batch is open, and does not count the plain model.
        overwrite: Replace an existing file.
        preprocessing: How a picture becomes the input; written into the metadata.
        labels: Class names in order; written into the metadata.

    Returns:
        The explained model. External data stays where the original has it, except in the written file.

    Raises:
        ReciprocamError: The model, an option or the destination cannot be used; nothing is written then.
    """
    options = RewriteOptions.parse(
        target=target,
        method=method,
        mask=mask,
        vit_mask=vit_mask,
        score=score,
        classes=classes,
        output=output,
        normalize=normalize,
        upsample=upsample,
        toggle=toggle,
        max_memory=max_memory,
    )
    return rewrite_with(
        model, destination, options, overwrite=overwrite, preprocessing=preprocessing, labels=labels
    ).model


@deeply()
def rewrite_with(
    model: ModelSource | Network,
    destination: str | os.PathLike[str] | None,
    options: RewriteOptions,
    *,
    overwrite: bool = False,
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
) -> Spliced:
    """:func:`rewrite` with its options in one object, and with the notes of the walk in the answer.

    A model that is studied already is not read again.
    """
    if destination is not None:
        check_writable(Path(destination), overwrite=overwrite)
    network = model
    if not isinstance(network, Network):
        network = study(network, options.output, preprocessing.size if preprocessing else None)
    if labels and len(labels) != network.scores.classes:
        counts = f"{len(labels)} names for {network.scores.classes} classes"
        raise InputError("labels", f"{counts}; one name per class, in order.")
    if preprocessing is not None:
        _check_fits(preprocessing, network.image)
    target = network.find(options.target) if options.target else automatic(network, options.mask)[0]
    spliced = splice(network, target, options, preprocessing=preprocessing, labels=labels)
    if destination is not None:
        save(spliced.model, Path(destination), source_folder=network.model.folder, overwrite=overwrite)
    return replace(spliced, remarks=list(_remarks(network, target, options)))


def _remarks(network: Network, target: Target, options: RewriteOptions) -> Iterator[str]:
    """What the maps or the predictions will surprise with."""
    if options.target and spliced_by(options.method).masks and not reaches(network, target):
        yield FLAT.format(target.node)
    if has_signed_pairs(network.model):
        yield SIGNED


def _check_fits(preprocessing: Preprocessing, image: InputSpec) -> None:
    """Whoever runs the file prepares pictures so: the input has to take what comes of it."""
    if not image.spatial:
        return
    declared = [image.shape[axis] for axis in image.spatial]
    if preprocessing.size and any(
        own not in {None, side} for own, side in zip(declared, preprocessing.size, strict=True)
    ):
        sizes = ["x".join(map(str, sides)) for sides in (preprocessing.size, declared)]
        raise InputError(image.name, f"takes pictures of {sizes[1]}, not {sizes[0]}; leave --size out.")
    layout = "nchw" if image.spatial == (2, 3) else "nhwc"
    channels = image.shape[1 if layout == "nchw" else 3]
    if preprocessing.layout not in {None, layout} and channels in {1, 3, 4}:
        raise InputError(image.name, f"is {layout}, not {preprocessing.layout}; leave --layout out.")
    if channels in {1, 3}:
        preprocessing.check_channels(image.name, channels)


def strip(
    model: ModelSource, destination: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> onnx.ModelProto:
    """Take the maps out again.

    Args:
        model: Path, bytes or ``ModelProto`` of an explained model.
        destination: Where to write the original; None only returns it.
        overwrite: Replace an existing file.

    Returns:
        The graph that was rewritten: every node, name and metadata entry.

    Raises:
        NotRewrittenError: It is a plain model.
        ReciprocamError: The model or the destination cannot be used.
    """
    if destination is not None:
        check_writable(Path(destination), overwrite=overwrite)
    loaded = load(model)
    metadata = {entry.key: entry.value for entry in loaded.proto.metadata_props}
    contract = Contract.from_metadata(metadata, loaded.name)
    plain = _without(loaded.proto, contract)
    if destination is not None:
        save(plain, Path(destination), source_folder=loaded.folder, overwrite=overwrite)
    return plain


def _without(proto: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    plain = onnx.ModelProto()
    plain.CopyFrom(proto)
    graph = plain.graph
    public = {*contract.outputs.values(), *contract.inputs.values()} - {
        contract.outputs["score"],
        contract.inputs["image"],
    }
    for entries in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info):
        kept = [entry for entry in entries if not _added(entry.name, contract, public)]
        del entries[:]
        entries.extend(kept)
    kept_metadata = [entry for entry in plain.metadata_props if entry.key not in contract.to_metadata()]
    del plain.metadata_props[:]
    plain.metadata_props.extend(kept_metadata)
    return plain


def _added(name: str, contract: Contract, public: set[str]) -> bool:
    return name in public or name.startswith(contract.namespace)
