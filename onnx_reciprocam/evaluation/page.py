"""The evaluation as one page of HTML, its pictures beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_reciprocam.errors import MissingPackageError
from onnx_reciprocam.evaluation.gallery import FOLDER
from onnx_reciprocam.evaluation.protocol import HIGHER, METRICS
from onnx_reciprocam.evaluation.summary import best
from onnx_reciprocam.methods import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnx_reciprocam.evaluation.gallery import Gallery, Shown
    from onnx_reciprocam.evaluation.protocol import Protocol
    from onnx_reciprocam.evaluation.run import Evaluation

TEMPLATE = Path(__file__).with_name("page.html")


def page(found: Evaluation, model: str, protocol: Protocol, labels: Sequence[str], gallery: Gallery) -> str:
    """The table with the best in bold, then every method's best and worst pictures.

    Raises:
        MissingPackageError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingPackageError("jinja2", "evaluate") from None
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    names = [name for name in protocol.metrics if any(name in line.figures for line in found.lines)]
    winners = {name: best(found.lines, name) for name in names}
    galleries = []
    for line in found.lines:
        ends = zip(("best", "worst"), gallery.ends(line.method), strict=True)
        galleries.append((line.method, [(end, [_card(one, labels) for one in shown]) for end, shown in ends]))
    return environment.from_string(TEMPLATE.read_text("utf-8")).render(
        model=Path(model).name,
        pictures=len({row["sample"] for row in found.rows}),
        failures=sorted(found.failures.items()),
        protocol=protocol,
        heads=[(METRICS[name], name, "higher is better" if name in HIGHER else "lower is better") for name in names],
        lines=found.lines,
        names=names,
        winners=winners,
        methods={line.method: find(line.method) for line in found.lines},
        galleries=galleries,
    )


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
