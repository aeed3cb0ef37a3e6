"""Explain every network of the zoo, compare with the naive explanation, and write ``docs/zoo.md``.

Run by hand, some minutes a core::

    python tests/zoo/table.py                 # the whole table
    python tests/zoo/table.py resnet18 swin   # print the rows of networks whose names begin so, write nothing
"""

from __future__ import annotations

import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from measure import Row, measure
from skeleton import names

DOCUMENT = Path(__file__).parents[2] / "docs" / "zoo.md"
NOT_EXPORTED = Path(__file__).with_name("not_exported.csv")
COLUMNS = ("network", "exporter", "automatic target", "layout", "grid", "maps", "worst", "spread", "extra", "widened")
INTRODUCTION = """\
# The zoo

Written by `python tests/zoo/table.py`; do not edit. Every network of `tests/zoo/skeletons` is a PyTorch export with
drawn weights, rewritten with no option and compared with the naive explanation at batch 1 and 3 (static exports: 1), in
{cells} random cells of each map.

* exporter: `ts1` TorchScript, batch of one; `tsn` TorchScript, any batch; `dynamo1`, `dynamon` torch.export likewise.
* worst: the largest error as a share of what "exact" allows; spread: of the raw map, as a share of its largest score.
* in chunks: with `--max-memory 1GB`, since in one go the maps would take 10 GB and more.
* extra: multiply-adds of the maps over those of the plain model; widened: nodes multiplied out, a copy per cell.

Of {stored} graphs {all} have been measured: {exact} are exact, {refused} are refused by name, {unjudged} cost too much to run, {wrong} are wrong.
"""


def table(rows: list[Row]) -> str:
    """All rows as Markdown, behind what they mean and how many are exact."""
    kinds = [row.kind for row in rows]
    counts = {kind: kinds.count(kind) for kind in ("exact", "refused", "unjudged", "wrong")}
    lines = [INTRODUCTION.format(all=len(rows), stored=len(names()), cells=Row.cells, **counts)]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row.columns()) + " |" for row in rows]
    return "\n".join([*lines, "", *_not_exported()]) + "\n"


def _not_exported() -> list[str]:
    """What the exporters could not write, or only in another way."""
    with NOT_EXPORTED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    head = [
        "## What PyTorch could not export as it is",
        "",
        "| network | exporter | reason | instead |",
        "|---|---|---|---|",
    ]
    keys = ("network", "exporter", "reason", "remedy")
    return [*head, *("| " + " | ".join(row[key] for key in keys) + " |" for row in rows)]


def main(prefixes: list[str]) -> None:
    """Measure side by side, one core each; write only the whole table."""
    chosen = [entry for entry in names() if not prefixes or entry[0].startswith(tuple(prefixes))]
    with ProcessPoolExecutor(max_workers=2) as pool:
        rows = []
        for row in pool.map(partial(measure, dear=True), *zip(*chosen, strict=True)):
            print(" | ".join(row.columns()), flush=True)  # noqa: T201 - progress of a script
            rows.append(row)
    if not prefixes:
        DOCUMENT.write_text(table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
