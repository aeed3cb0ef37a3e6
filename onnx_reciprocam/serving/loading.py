"""Model files as sessions that a service may share between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from onnx_reciprocam.contract import CLASS_IDS_INPUT, TOGGLE_INPUT
from onnx_reciprocam.errors import OptionError, ReciprocamError
from onnx_reciprocam.runtime import ExplainedSession
from onnx_reciprocam.runtime.preprocess import settle
from onnx_reciprocam.serving.question import Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from onnx_reciprocam.runtime import Explanation

_ROUNDING = 1e-4
"""Of the largest score: what runs with and without company may differ by."""


def names_of(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each file: its own without ``.onnx``.

    Raises:
        OptionError: Two files have the same.
    """
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            remedy = f"files whose names differ: {named[path.stem]} is called {path.stem!r} as well"
            raise OptionError("serve", str(path), (remedy,))
        named[path.stem] = path
    return named


def open_model(path: Path, threads: int) -> ExplainedSession:
    """A session whose threads sleep between runs, since other models and the server itself want the cores.

    Raises:
        ReciprocamError: As :class:`ExplainedSession`; a plain model is refused with the command that rewrites it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return ExplainedSession(path, session_options=options)


def images_per_run(session: ExplainedSession, most: int) -> tuple[int | None, str]:
    """How many images of different requests may share a run, and why no more.

    A static batch decides by itself. Otherwise two drawn images are run together and one of them alone: where its scores
    differ, as they do when a file quantises with one range for the whole batch, every request is run by itself. This is
    also the run that makes onnxruntime allocate.

    Returns:
        The number, None where a request has to be run just as it came; and the reason, empty where it is ``most``.
    """
    batch = session.image.shape[0]
    if batch is not None:
        return batch, f"the file has a static batch of {batch}"
    if further_inputs(session):
        return None, "the file has further inputs"
    try:
        pair = _drawn(session)
        alone, together = _ask(session, pair[:1]), _ask(session, pair)
    except ReciprocamError as error:
        return None, f"it does not run on drawn images: {error}"
    if not _same(alone, together):
        return None, "scores of an image depend on the others of its batch"
    return most, ""


def further_inputs(session: ExplainedSession) -> list[str]:
    """Inputs other than the image, the class ids and the switch."""
    known = {session.contract.inputs.get(role) for role in ("image", CLASS_IDS_INPUT, TOGGLE_INPUT)}
    return [node.name for node in session.session.get_inputs() if node.name not in known]


def _drawn(session: ExplainedSession) -> NDArray[Any]:
    """Two images, the second a hundred times the first's size."""
    settled = settle(session.preprocessing, session.image)
    height, width = settled.size or (0, 0)
    seen = (height, width) if settled.layout == "nchw" else ()
    default = (3, *seen) if settled.layout == "nchw" else (height, width, 3)
    shape = (2, *(side or default[axis] for axis, side in enumerate(session.image.shape[1:])))
    drawn = np.random.default_rng(0).standard_normal(shape) * np.array([0.02, 2.0]).reshape(2, 1, 1, 1)
    if "float" not in session.image.type and "double" not in session.image.type:
        drawn = np.clip(np.abs(drawn) * 50, 0, 127).astype(np.int64)
    return session.image.fit(drawn)


def _ask(session: ExplainedSession, images: NDArray[Any]) -> Explanation:
    ids = np.zeros((len(images), 1), np.int64) if CLASS_IDS_INPUT in session.contract.inputs else None
    return Question(images, ids).ask(session)


def _same(alone: Explanation, together: Explanation) -> bool:
    """Whether the first image was scored the same, and every output has a row per image."""
    outputs: list[Mapping[str, NDArray[Any]]] = [dict(each.outputs) for each in (alone, together)]
    if any(value.shape[:1] != (2,) for value in (*outputs[1].values(), together.saliency, together.classes)):
        return False
    scores, beside = (each.predictions[0].astype(np.float64) for each in (alone, together))
    return bool(np.abs(scores - beside).max() <= _ROUNDING * max(np.abs(scores).max(), 1e-6))
