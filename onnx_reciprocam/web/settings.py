"""What the page has to know of a model: config.json, made of what the file says of itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_reciprocam.contract import CLASS_IDS_INPUT, SALIENCY, SALIENCY_CLASSES
from onnx_reciprocam.errors import InputError
from onnx_reciprocam.runtime.preprocess import settle
from onnx_reciprocam.visualise import colorize

if TYPE_CHECKING:
    from onnx_reciprocam.runtime import ExplainedSession

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
}
"""Element types that the page makes of a picture: onnxruntime's name here, and its name in the browser."""

SHOWN = 5
"""Classes that the page lists at least, and for which it asks a file that takes class numbers."""


def settings(session: ExplainedSession) -> dict[str, Any]:
    """Everything but the title and the files; the model is run once, to see that a picture goes through.

    Raises:
        InputError: The model takes no picture, or more than a picture.
    """
    contract = session.contract
    if session.image.type not in TYPES:
        raise InputError(session.image.name, f"takes {session.image.type}; a page feeds {', '.join(TYPES)}.")
    if others := session.other_inputs:
        raise InputError(others[0], "a page has a picture and nothing else to feed; make this input a constant first.")
    classes = _try_out(session)
    return {
        "method": contract.method,
        "choice": contract.classes,
        "activation": contract.activation,
        "input": {"name": session.image.name, "type": TYPES[session.image.type]},
        "class_ids": contract.inputs.get(CLASS_IDS_INPUT),
        "outputs": {
            "score": contract.outputs["score"],
            "saliency": contract.outputs[SALIENCY],
            "classes": contract.outputs.get(SALIENCY_CLASSES),
        },
        "preprocessing": asdict(settle(session.preprocessing, session.image)),
        "classes": classes,
        "shown": min(max(SHOWN, session.class_choice.count or 0), classes),
        "labels": list(session.labels),
        "palette": colorize(np.arange(256.0)[None]).tobytes().hex(),
    }


def _try_out(session: ExplainedSession) -> int:
    """Run the model on noise; how many classes it scores."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    asked = [[0]] if CLASS_IDS_INPUT in session.contract.inputs else None
    image, _ = session.prepare(noise)  # alone, as the page runs it
    return int(session(image, class_ids=asked).predictions[0].size)
