"""The evaluation as one page of HTML, its pictures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.evaluation.gallery import FOLDER
from onnx_reciprocam.evaluation.protocol import HIGHER, MEANINGS, METRICS
from onnx_reciprocam.evaluation.summary import UNPOINTED, best, compared
from onnx_reciprocam.methods import find
from onnx_reciprocam.pages import render
from onnx_reciprocam.timings import lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.evaluation.gallery import Gallery, Shown
    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.run import Evaluation
    from onnx_reciprocam.evaluation.summary import Line

TEMPLATE = Path(__file__).with_name("page.html")


def page(found: Evaluation, model: str, protocol: Protocol, labels: Sequence[str], gallery: Gallery) -> str:
    """The table with the best in bold, then every method's best and worst pictures.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    names = [name for name in protocol.metrics if any(name in line.figures for line in found.lines)]
    winners = {name: best(found.lines, name) for name in names}
    return render(
        TEMPLATE,
        "evaluate",
        model=Path(model).name,
        pictures=len({row["path"] for row in found.rows}),
        compared=compared(found.rows, [line.method for line in found.lines]),
        failures=sorted(found.failures.items()),
        protocol=protocol,
        missing=[METRICS[name] for name in protocol.metrics if name not in names],
        unpointed=UNPOINTED,
        columns=[_column(name, found.lines) for name in names],
        lines=found.lines,
        winners=winners,
        lasting=lasting,
        methods={line.method: find(line.method) for line in found.lines},
        galleries={line.method: _ends(gallery, line.method, labels) for line in found.lines},
    )


def _column(name: str, lines: Sequence[Line]) -> dict[str, Any]:
    """Of the table; ``pictures`` says how many its figures are of."""
    return {
        "name": name,
        "head": METRICS[name],
        "meaning": MEANINGS[name],
        "better": "higher" if name in HIGHER else "lower",
        "pictures": max(line.figures[name].pictures for line in lines if name in line.figures),
    }


def _ends(gallery: Gallery, method: str, labels: Sequence[str]) -> list[tuple[str, list[dict[str, Any]]]]:
    ends = zip(("Best", "Worst"), gallery.ends(method), strict=True)
    return [(end, [_card(one, labels) for one in shown]) for end, shown in ends if shown]


def _card(shown: Shown, labels: Sequence[str]) -> dict[str, Any]:
    row = shown.row
    explained = int(row["explained"])
    figures = ", ".join(
        f"{METRICS[name]} {row[name]:.0%}" for name in METRICS if row.get(name) is not None and name != "adcc"
    )
    return {
        "file": f"{FOLDER}/{shown.file}",
        "name": Path(row["path"]).name,
        "label": labels[explained] if explained < len(labels) else f"class {explained}",
        "figures": figures,
    }
