"""Evaluations of the tiny data set, and what is asked of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pictures import SIZE

import onnx_reciprocam as rc
from onnx_reciprocam.evaluation import Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

METHODS = ("reciprocam", "gradcam", "eigencam")
QUICK = Protocol(steps=6)
PREPARED = rc.Preprocessing(size=SIZE)


def how(methods: Sequence[str] = METHODS, protocol: Protocol = QUICK) -> dict[str, Any]:
    return {"methods": methods, "protocol": protocol, "preprocessing": PREPARED}


def parts(made: Any) -> tuple[Path, Path]:
    return made.folder.parent / "plain.onnx", made.folder.parent / "data" / "data.csv"


def figures(evaluation: Any) -> list[Any]:
    """All but the times, in one order."""
    kept = [{name: value for name, value in row.items() if name != "seconds"} for row in evaluation.rows]
    return sorted(kept, key=lambda row: (row["sample"], row["method"]))


def shown(evaluation: Any) -> set[str]:
    """Files that the page shows."""
    return set(re.findall(r'src="pictures/([^"]+)"', (evaluation.folder / "report.html").read_text("utf-8")))


def drawn(evaluation: Any) -> set[str]:
    return {path.name for path in (evaluation.folder / "pictures").iterdir()}
