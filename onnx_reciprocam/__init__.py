"""Saliency maps inside your ``.onnx``: one ``session.run`` returns the predictions and why.

>>> import onnx_reciprocam as rc
>>> rc.rewrite("resnet50.onnx", "resnet50.explained.onnx")  # doctest: +SKIP
>>> session = rc.ExplainedSession("resnet50.explained.onnx")  # doctest: +SKIP
>>> result = session(batch)  # doctest: +SKIP

Names load when first used, so that a service that only runs explained files imports numpy, onnxruntime and OpenCV alone.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx_reciprocam.contract import Contract, Preprocessing
    from onnx_reciprocam.dataset import batch, explain_dataset
    from onnx_reciprocam.errors import ReciprocamError
    from onnx_reciprocam.evaluation import evaluate
    from onnx_reciprocam.explainers import BlackBoxSession, explainer
    from onnx_reciprocam.reporting import report
    from onnx_reciprocam.rewriter import inspect, rewrite, strip
    from onnx_reciprocam.runtime import ExplainedSession, Explanation
    from onnx_reciprocam.verification import verify

__all__ = [
    "BlackBoxSession",
    "Contract",
    "ExplainedSession",
    "Explanation",
    "Preprocessing",
    "ReciprocamError",
    "__version__",
    "batch",
    "evaluate",
    "explain_dataset",
    "explainer",
    "inspect",
    "report",
    "rewrite",
    "strip",
    "verify",
]

_HOME = {
    "BlackBoxSession": "explainers",
    "Contract": "contract",
    "ExplainedSession": "runtime",
    "Explanation": "runtime",
    "Preprocessing": "contract",
    "ReciprocamError": "errors",
    "batch": "dataset",
    "evaluate": "evaluation",
    "explain_dataset": "dataset",
    "explainer": "explainers",
    "inspect": "rewriter",
    "report": "reporting",
    "rewrite": "rewriter",
    "strip": "rewriter",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("onnx-reciprocam")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
