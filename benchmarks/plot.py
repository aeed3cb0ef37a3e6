"""Draw what explanations cost, network by network, from the CSVs beside this file.

pip install -r benchmarks/requirements.txt
python benchmarks/plot.py                        # into benchmarks/ratios.svg
python benchmarks/plot.py --out ratios.png
"""

# mypy: disable-error-code="import-not-found"
# matplotlib is needed here alone, so the type checker's environment has none

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

HERE = Path(__file__).parent
TITLE = "Time with maps over time without, at the last feature map"
INK, GRID = "#404040", "#dddddd"


@dataclass(frozen=True)
class Ratio:
    """Times the plain model's time: median of the rounds, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def read(cls, row: dict[str, str], column: str) -> Ratio | None:
        """Of one row; None where it was not measured."""
        if not row[column]:
            return None
        low, high = row[f"{column}_quartiles"].split("-")
        return cls(float(row[column]), float(low), float(high))


@dataclass(frozen=True)
class Series:
    """One way to explain: a bar per network that it was measured on."""

    name: str
    colour: str
    ratios: dict[str, Ratio]


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "ratios.svg", help="SVG or PNG (default: %(default)s)")
    arguments = parser.parse_args()
    last_stage = [row for row in _rows("last_stage.csv") if row["exporter"] == "ts1"]
    peers = _rows("peers.csv")
    ours = [row for row in peers if (row["system"], row["variant"]) == ("onnx_reciprocam", "predicted")]
    openvino = [row for row in peers if (row["system"], row["variant"]) == ("openvino_xai", "explained")]
    figure = drawn(
        [
            Series("onnx_reciprocam, onnxruntime", "#0072b2", _ratios(ours, "ratio")),
            Series("OpenVINO-XAI, OpenVINO", "#e69f00", _ratios(openvino, "ratio")),
            Series("a copy per masked cell, onnxruntime", "#999999", _ratios(last_stage, "naive_ratio")),
        ]
    )
    # text stays text, and the same numbers give the same bytes
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ratios"}):
        figure.savefig(arguments.out, dpi=150, metadata={"Date": None} if arguments.out.suffix == ".svg" else None)


def drawn(series: list[Series]) -> Figure:
    """Groups of bars, the networks of the first series in its order; a mark where a series has no number."""
    networks = list(series[0].ratios)
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    for place, one in enumerate(series):
        _bars(axes, one, networks, width, (place - (len(series) - 1) / 2) * width)
    axes.axhline(1, color=INK, linewidth=1)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(networks)), networks, rotation=20, ha="right")
    axes.set_title(TITLE, color=INK)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    figure.legend(loc="outside lower center", ncols=len(series), frameon=False, labelcolor=INK)
    return figure


def _bars(axes: Any, series: Series, networks: list[str], width: float, shift: float) -> None:
    for x, network in enumerate(networks):
        if network not in series.ratios:
            axes.text(x + shift, 0.03, "not measured", ha="center", va="bottom", fontsize=7, rotation=90, color=INK)
    known = [(x + shift, series.ratios[name]) for x, name in enumerate(networks) if name in series.ratios]
    places, ratios = [x for x, _ in known], [ratio for _, ratio in known]
    spread = [[r.median - r.low for r in ratios], [r.high - r.median for r in ratios]]
    medians = [ratio.median for ratio in ratios]
    axes.bar(places, medians, width * 0.92, label=series.name, color=series.colour)
    axes.errorbar(places, medians, spread, fmt="none", ecolor=INK, elinewidth=0.8)
    for place, ratio in known:
        axes.text(place, ratio.high + 0.02, f"{ratio.median:.2f}", ha="center", va="bottom", fontsize=7, color=INK)


def _ratios(rows: list[dict[str, str]], column: str) -> dict[str, Ratio]:
    found = {row["model"]: Ratio.read(row, column) for row in rows}
    return {model: ratio for model, ratio in found.items() if ratio is not None}


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
