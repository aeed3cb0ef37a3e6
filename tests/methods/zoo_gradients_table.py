"""Explain every network of the zoo with methods other than ReciproCAM, judge, and write ``docs/zoo-gradients.md``.

Run by hand, half an hour a core::

    PYTHONPATH=tests/zoo python tests/methods/zoo_gradients_table.py                # everything
    PYTHONPATH=tests/zoo python tests/methods/zoo_gradients_table.py resnet18 swin  # names that begin so, the rest kept
    PYTHONPATH=tests/zoo python tests/methods/zoo_gradients_table.py --page         # the page again, nothing measured
"""

from __future__ import annotations

import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from skeleton import names
from zoo_gradients import DEAREST, METHODS, Row, measure

DOCUMENT = Path(__file__).parents[2] / "docs" / "zoo-gradients.md"
DATA = Path(__file__).parents[1] / "zoo" / "gradients.csv"
COLUMNS = tuple(Row("", "").flat())
INTRODUCTION = """\
# The zoo and its gradients

Written by `tests/methods/zoo_gradients_table.py` from `tests/zoo/gradients.csv`; do not edit. Graphs of
[the zoo](zoo.md) are rewritten at their automatic targets with
`{methods}`. Dynamic batches are run with two images, each with maps of its two best
classes.

* gradient: the class score's gradient by the target along random directions, against central differences of the plain
  file's tail in double precision (onnx's reference); the largest error as a share of what is allowed, 1e-4 of the
  gradient's length.
* each method: the largest error of its maps as a share of what "exact" allows, against the formula in double precision.
  GradCAM's brightest cell is compared with a finite difference as well. CAM is refused where the tail is not linear.
* spread: of the GradCAM, as a share of its largest value; 0 where no cell speaks for the class.
* image: the gradient by the whole image, through every operator of the network, along one random direction; the error as a
  share of a fiftieth of the gradient's length; empty where it has not been judged, as in networks of more than {dearest}
  multiply-adds.
* predictions: their largest difference from the plain file's, as a share of the largest score, with all methods in one
  file: 0, or where a further reader keeps the runtime from fusing two nodes, rounding.

Of {stored} graphs {all} have been measured: {right} are right, {refused} are refused by name, {unjudged} are not judged,
{wrong} are wrong. Networks of which no graph has been measured: {missing}.
"""


def page(rows: list[dict[str, str]]) -> str:
    """All rows as Markdown, behind what they mean."""
    verdicts = [row["verdict"].split(":")[0] for row in rows]
    counts = {kind: verdicts.count(kind) for kind in ("right", "refused", "unjudged", "wrong")}
    missing = sorted({name for name, _ in names()} - {row["network"] for row in rows})
    introduction = INTRODUCTION.format(
        all=len(rows),
        stored=len(names()),
        methods="`, `".join(METHODS),
        dearest=f"{DEAREST:.0g}",
        missing=", ".join(missing) or "none",
        **counts,
    )
    lines = [introduction]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cell(key, row[key]) for key in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(key: str, text: str) -> str:
    text = text.replace("|", "\\|")
    return f"`{text}`" if key == "target" and text else text


def stored() -> list[dict[str, str]]:
    """What has been measured."""
    with DATA.open(newline="") as file:
        return list(csv.DictReader(file))


def _store(rows: list[dict[str, str]]) -> None:
    with DATA.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (row["network"], row["exporter"])))


def main(words: list[str]) -> None:
    """Measure side by side, one core each; what has been measured before and is not now is kept."""
    rows = {(row["network"], row["exporter"]): row for row in (stored() if DATA.exists() else [])}
    if words != ["--page"]:
        chosen = [entry for entry in names() if not words or entry[0].startswith(tuple(words))]
        with ProcessPoolExecutor(max_workers=2) as pool:
            for row in pool.map(measure, *zip(*chosen, strict=True)):
                print(*row.flat().values(), sep=" | ", flush=True)  # noqa: T201 - progress of a script
                rows[row.network, row.exporter] = row.flat()
                _store(list(rows.values()))
    DOCUMENT.write_text(page(stored()))


if __name__ == "__main__":
    main(sys.argv[1:])
