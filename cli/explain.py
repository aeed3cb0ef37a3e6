"""``onnx-reciprocam explain``: pictures in, pictures with their reasons out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import onnxruntime
import typer

from onnx_reciprocam.errors import NotRewrittenError, OptionError, ReciprocamError
from onnx_reciprocam.runtime import ExplainedSession

from . import options as shared
from .inferences import Inferences, inferences
from .pictures import compare_all, explain_all, plan
from .preprocessing import read_labels, read_preprocessing, read_size
from .terminal import fail, say_aside

if TYPE_CHECKING:
    from onnx_reciprocam.rewriter.network import Network

    from .pictures import Session

_ERRORS_ONLY = 3
"""onnxruntime's log severity: its warnings on a file's spare weights help nobody here."""


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An explained file, or a plain model.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="JPEG, PNG or WebP pictures.")],
    *,
    folder: shared.Folder,
    overwrite: shared.Overwrite = False,
    class_id: shared.ClassId = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="METHOD,METHOD",
            help="Draw the maps of several methods side by side, with their time and inferences; for plain models.",
            show_default=False,
        ),
    ] = None,
    output: shared.Output = None,
    target: shared.Target = None,
    method: shared.Method = None,
    mask: shared.MaskChoice = None,
    vit_mask: shared.VitMaskChoice = None,
    score: shared.ScoreChoice = None,
    classes: shared.Classes = None,
    max_memory: shared.MaxMemory = None,
    samples: shared.Samples = None,
    seed: shared.Seed = None,
    size: shared.Size = None,
    crop: shared.Crop = None,
    mean: shared.Mean = None,
    std: shared.Std = None,
    scale: shared.Scale = None,
    color: shared.Color = None,
    layout: shared.Layout = None,
    labels: shared.Labels = None,
) -> None:
    """Draw why: for every picture its map, overlay and top classes in one PNG.

    A plain model is rewritten on the fly, or run many times by a black-box method: --output and the options under Maps \
and Black-box methods are for that. An explained file has settled them.
    """
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    ids = class_id or []
    how = shared.given(
        output=output, target=target, method=method, mask=mask, vit_mask=vit_mask, score=score, classes=classes,
        max_memory=max_memory, samples=samples, seed=seed,
    )  # fmt: skip
    prepared = {
        "size": size, "crop": crop, "mean": mean, "std": std, "scale": scale, "color": color, "layout": layout,
    }  # fmt: skip
    with inferences() as progress:
        ask = _Ask(model, how, ids, prepared, read_labels(labels), progress)
        sessions = [_open(ask)] if compare is None else _compared(ask, compare)
        ending = "compared" if compare is not None else "explained"
        jobs = plan(images, folder, _map_count(sessions[0], ids), ending, overwrite=overwrite)
        if all(value is None for value in prepared.values()) and _unsettled(sessions[0]):
            say_aside("No preprocessing in the file or the options: ImageNet's is used.")
        if compare is not None:
            failures = compare_all(sessions, jobs, ids or None, progress)
        else:
            failures = explain_all(sessions[0], jobs, ids or None, progress)
    if failures:
        fail(f"{len(failures)} of {len(jobs)} pictures not explained; {failures[0]}")
        raise typer.Exit(ReciprocamError.exit_code)


def _unsettled(session: Session) -> bool:
    return not isinstance(session, ExplainedSession) or session.contract.preprocessing is None


class _Ask(NamedTuple):
    """What is to be explained, and how: the command's options in groups."""

    model: Path
    how: dict[str, Any]
    ids: Sequence[int]
    prepared: dict[str, str | None]
    labels: tuple[str, ...]
    progress: Inferences


def _open(ask: _Ask) -> Session:
    """An explained file as it is; a plain model explained as the options say."""
    from onnx_reciprocam.explainers import refuse_options

    try:
        session = ExplainedSession(ask.model)
    except NotRewrittenError:
        return _explainer(ask, ask.how)
    refuse_options(ask.how)
    preprocessing = read_preprocessing(session.contract.preprocessing, **ask.prepared)
    return ExplainedSession(session.session, preprocessing=preprocessing, labels=ask.labels or session.labels)


def _explainer(ask: _Ask, how: dict[str, Any], network: Network | None = None) -> Session:
    from onnx_reciprocam.explainers import explainer

    return explainer(
        network or ask.model,
        preprocessing=read_preprocessing(None, **ask.prepared),
        labels=ask.labels,
        progress=ask.progress.of_picture,
        tell=say_aside,
        **({"classes": "input"} | how if ask.ids else how),
    )


def _compared(ask: _Ask, compare: str) -> list[Session]:
    """One session per method; options go to the methods that they mean something to."""
    from onnx_reciprocam.explainers import check_suited, suited
    from onnx_reciprocam.rewriter.network import study

    if "method" in ask.how:
        raise OptionError("--method", ask.how["method"], ("nothing beside --compare, which names the methods",))
    names = dict.fromkeys(name.strip() for name in compare.split(","))
    check_suited(names, ask.how)
    how = {name: suited(name, ask.how) for name in names}
    size = read_size(ask.prepared["size"])
    network = study(ask.model, ask.how.get("output"), size)
    return [_explainer(ask, {"method": name, **how[name]}, network) for name in names]


def _map_count(session: Session, ids: Sequence[int]) -> int:
    """Maps drawn per picture."""
    from onnx_reciprocam.explainers import check_class_ids

    check_class_ids(session, ids)
    choice = session.class_choice
    return len(ids) or (choice.count if choice.kind == "top" and choice.count else 1)
