"""Every method on every network: the figures behind docs/quality.md.

python -m benchmarks.quality.run                                                 # one-run methods, all networks
python -m benchmarks.quality.run squeezenet1.1 --only scorecam,rise --samples 1000  # some methods; minutes to hours each
python -m benchmarks.quality.run --only reciprocam-pixel-logit-last --steps 224     # deletion and insertion too
python -m benchmarks.quality.run --set pair                                      # two objects in a picture, each explained

Figures go into quality.csv, or pair.csv, in place of those of the same network, method and metric; others stay. Rows are kept
in the cache and a run that was cut short goes on. Networks and pictures: see the other modules here.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime
from rich.progress import Progress, TaskID

from benchmarks.networks import as_csv
from onnx_reciprocam.evaluation import METRICS, Protocol, evaluate, to_rows
from onnx_reciprocam.methods import BlackBox, InGraph, Needs, methods
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import Network, Target, study
from onnx_reciprocam.runtime.atomic import write_atomically

from .networks import NETWORKS, network_file
from .packages import CACHE

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
MASKS, SCORES = ("pixel", "gaussian", "replicated"), ("logit", "probability")
IN_THE_MIDDLE = ("reciprocam", "gradcam", "gradcam++", "layercam", "hirescam", "eigencam", "activation")
BLOCK_ENDS = {"Add", "Concat"}
IDENTITY = ("network", "set", "method", "mask", "score", "samples", "where", "metric")
"""Columns that tell a figure from all others."""
COLUMNS = (*IDENTITY[:-1], "grid", "metric", "value", "low", "high", "pictures", "seconds")


@dataclass(frozen=True)
class Variant:
    """A method as it is run here.

    Args:
        method: Its name.
        options: Of the method.
        where: ``last`` target, or the one in the ``middle`` with four times the cells.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    where: str = "last"

    @property
    def name(self) -> str:
        """One word."""
        return "-".join([self.method, *map(str, self.options.values()), self.where])


def variants() -> list[Variant]:
    """ReciproCAM in all its forms, the other spliced methods, those in the middle, the black boxes."""
    own = [Variant("reciprocam", {"mask": mask, "score": score}) for mask in MASKS for score in SCORES]
    spliced = [name for name, kind in methods().items() if issubclass(kind, InGraph) and name != "reciprocam"]
    found = [*own, *map(Variant, spliced)]
    found += [Variant("reciprocam", {"mask": "pixel", "score": "logit"}, "middle")]
    found += [Variant(name, where="middle") for name in IN_THE_MIDDLE[1:]]
    return found + [Variant(name) for name, kind in methods().items() if issubclass(kind, BlackBox)]


def chosen(given: argparse.Namespace) -> list[Variant]:
    """What was asked for: by method, by variant, or all that need one run each."""
    known, asked = variants(), given.only.split(",") if given.only else []
    if unknown := [word for word in asked if not any(word in {variant.method, variant.name} for variant in known)]:
        sys.exit(f"there is no {unknown[0]}; there are {', '.join(variant.name for variant in known)}")
    boxes = {name: kind for name, kind in methods().items() if issubclass(kind, BlackBox)}
    found = [v for v in known if ({v.method, v.name} & set(asked) if asked else v.method not in boxes)]
    if given.samples is None:
        return found
    drawn = {name for name, kind in boxes.items() if kind.samples is not None}
    return [replace(v, options=v.options | {"samples": given.samples}) if v.method in drawn else v for v in found]


def middle(network: Network) -> Target:
    """The last end of a block with twice the height of the automatic target."""
    last = automatic(network)[0].seen_grid
    larger = [target for target in network.targets if target.seen_grid[0] >= 2 * last[0] - 1]
    return [target for target in larger if target.tensor.inputs[0].op in BLOCK_ENDS][-1]


def main() -> None:
    """Evaluate, and put each variant's figures into the CSV when it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"all if none is named: {', '.join(NETWORKS)}")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--set", default="single", choices=["single", "pair"])
    parser.add_argument("--only", help="methods or variants such as gradcam-middle; default: all but black boxes")
    parser.add_argument("--samples", type=int, help="of black boxes that draw, instead of their own number")
    parser.add_argument("--limit", type=int, help="only so many pictures, evenly spread")
    parser.add_argument("--steps", type=int, help="deletion and insertion too, in so many steps")
    parser.add_argument("--out", type=Path, help="default: quality.csv here, or pair.csv")
    given = parser.parse_args()
    if unknown := sorted(set(given.networks) - set(NETWORKS)):
        parser.error(f"there is no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    if given.limit and not given.out:
        parser.error("--limit wants --out: figures of some pictures do not belong beside those of all")
    out = given.out or HERE / ("pair.csv" if given.set == "pair" else "quality.csv")
    with Progress() as bars:
        for name in given.networks or NETWORKS:
            _network(name, given, out, bars)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Put figures into the CSV, networks and variants in their order here."""
    kept = dict[tuple[str, ...], dict[str, Any]]()
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            kept = {_identity(row): row for row in csv.DictReader(file)}
    kept |= {_identity(row): row for row in rows}
    order = [(v.method, v.options.get("mask", ""), v.options.get("score", ""), v.where) for v in variants()]

    def place(row: Mapping[str, Any]) -> tuple[int, int, int]:
        about = (row["method"], row["mask"], row["score"], row["where"] or "last")
        return list(NETWORKS).index(row["network"]), order.index(about), list(METRICS).index(row["metric"])

    whole = [{column: row.get(column, "") for column in COLUMNS} for row in sorted(kept.values(), key=place)]
    write_atomically(path, as_csv(whole))


def _identity(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row.get(column) or "" for column in IDENTITY)


def _protocol(given: argparse.Namespace) -> Protocol:
    if given.set == "pair":  # each object's class is explained; the other object is the trap
        return Protocol(metrics=("pointing", "energy"), explained="label")
    causal = {"deletion", "insertion"} if given.steps is None else set()
    return Protocol(metrics=tuple(name for name in METRICS if name not in causal), steps=given.steps or 224)


def _network(name: str, given: argparse.Namespace, out: Path, bars: Progress) -> None:
    path = network_file(name, given.cache)
    network = study(path)
    hooked = middle(network).node
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    protocol = _protocol(given)
    for variant in chosen(given):
        target = hooked if variant.where == "middle" else None
        task = bars.add_task(f"{name}: {variant.name}", total=None)
        found = evaluate(
            path,
            given.cache / f"{given.set}.csv",
            given.cache / "results" / f"{given.set}-{given.steps}" / name / variant.name,
            methods=[variant.method],
            protocol=protocol,
            limit=given.limit,
            preprocessing=NETWORKS[name].preprocessing,
            session_options=options,
            progress=partial(_tell, bars, task),
            **variant.options,
            **({"target": target} if target and Needs.CELLS in methods()[variant.method].needs else {}),
        )
        if found.failures:  # figures of fewer pictures would stand beside those of all
            sys.exit(f"{name}: {variant.name} failed: {found.failures}")
        write(out, [_row(name, given.set, variant, row, network) for row in to_rows(found.lines)])


def _tell(bars: Progress, task: TaskID, done: int, total: int, _method: str) -> None:
    bars.update(task, completed=done, total=total)


def _row(name: str, pictures: str, variant: Variant, row: dict[str, Any], network: Network) -> dict[str, Any]:
    target = middle(network) if variant.where == "middle" else automatic(network)[0]
    cells = Needs.CELLS in methods()[variant.method].needs
    numbers = {key: f"{row[key]:.5g}" for key in ("value", "low", "high", "seconds")}
    return {
        "network": name,
        "set": pictures,
        "method": variant.method,
        "mask": variant.options.get("mask", ""),
        "score": variant.options.get("score", ""),
        "samples": str(variant.options.get("samples", "")),
        "where": variant.where if cells else "",
        "grid": "x".join(map(str, target.seen_grid)) if cells else "",
        "metric": row["metric"],
        "pictures": row["pictures"],
        **numbers,
    }


if __name__ == "__main__":
    main()
