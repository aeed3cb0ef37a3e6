"""Write the tables of docs/quality.md from quality.csv and pair.csv: python -m benchmarks.quality.table."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from onnx_reciprocam.evaluation import HIGHER, METRICS

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "quality.md"
BEGIN, END = "<!-- tables: benchmarks/quality/table.py -->", "<!-- end of tables -->"
SHOWN = ("adcc", "drop", "increase", "coherency", "complexity", "pointing", "energy")
CAUSAL = ("deletion", "insertion")
"""In tables of their own: they take hundreds of inferences, and few methods have them."""


def tables(path: Path, shown: tuple[str, ...]) -> list[str]:
    """One per network: a row per method and where it was hooked, percent with 95% intervals, the best of a half bold."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] in shown]
    lines = []
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        metrics = [name for name in shown if any(row["metric"] == name for row in own)]
        pictures = {name: next(row["pictures"] for row in own if row["metric"] == name) for name in metrics}
        heads = [f"{METRICS[name]} {'↑' if name in HIGHER else '↓'} ({pictures[name]})" for name in metrics]
        lines += [f"### {network}", "", f"| method | grid | {' | '.join(heads)} | s |"]
        lines += ["|---|---|" + "---|" * (len(heads) + 1)]
        lines += [*_lines(own, metrics), ""]
    return lines


def _lines(rows: list[dict[str, str]], metrics: list[str]) -> list[str]:
    table: dict[tuple[str, str, str], dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        table[_name(row), row["grid"], row["where"]][row["metric"]] = row
    best: dict[tuple[bool, str], float] = {}
    for (_, _, where), cells in table.items():
        for name, cell in cells.items():
            sign = 1 if name in HIGHER else -1
            half = where == "middle", name
            best[half] = max(best.get(half, -9.0), sign * round(float(cell["value"]), 3))
    lines = []
    for (method, grid, where), cells in table.items():
        words = [
            _spelled(cells[name], name, best[where == "middle", name]) if name in cells else "-" for name in metrics
        ]
        seconds = float(next(iter(cells.values()))["seconds"])
        lines.append(f"| {method} | {grid} | {' | '.join(words)} | {seconds:.2g} |")
    return lines


def _name(row: dict[str, str]) -> str:
    return " ".join(filter(None, [row["method"], row["mask"], row["score"], row["samples"]]))


def _spelled(cell: dict[str, str], name: str, best: float) -> str:
    value, low, high = (float(cell[key]) for key in ("value", "low", "high"))
    sign = 1 if name in HIGHER else -1
    number = f"{100 * value:.1f}"
    number = f"**{number}**" if sign * round(value, 3) == best else number
    return f"{number} <sub>{100 * low:.0f}-{100 * high:.0f}</sub>"


def main() -> None:
    """Replace what stands between the marks."""
    lines = ["", *tables(HERE / "quality.csv", SHOWN)]
    lines += ["## Deletion and insertion", "", *tables(HERE / "quality.csv", CAUSAL)]
    if (HERE / "pair.csv").exists():
        lines += ["## Two objects in a picture", "", *tables(HERE / "pair.csv", ("pointing", "energy"))]
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
