"""Every method on every network: the figures behind docs/quality.md.

python -m benchmarks.quality.run                                   # one-run methods, all networks; writes quality.csv
python -m benchmarks.quality.run squeezenet1.1 --boxes --limit 30  # black boxes too, on 30 pictures
python -m benchmarks.quality.run --set pair                        # two objects in a picture, each explained

Rows are kept in the cache and a run that was cut short goes on. Networks and pictures: see the other modules here.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime
from rich.progress import Progress

from onnx_reciprocam.evaluation import METRICS, Protocol, evaluate, summarise, to_rows
from onnx_reciprocam.methods import BlackBox, InGraph, Needs, methods
from onnx_reciprocam.rewriter.inspection import automatic
from onnx_reciprocam.rewriter.network import Network, Target, study

from .networks import NETWORKS, network_file
from .packages import CACHE

HERE = Path(__file__).parent
MASKS, SCORES = ("pixel", "gaussian", "replicated"), ("logit", "probability")
IN_THE_MIDDLE = ("reciprocam", "gradcam", "gradcam++", "layercam", "hirescam", "eigencam", "activation")
BLOCK_ENDS = {"Add", "Concat"}
COLUMNS = (
    "network", "set", "method", "mask", "score", "where", "grid", "metric", "value", "low", "high", "pictures", "seconds",
)  # fmt: skip


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


def variants(*, boxes: bool) -> list[Variant]:
    """ReciproCAM in all its forms, then the others; black boxes if asked for."""
    own = [Variant("reciprocam", {"mask": mask, "score": score}) for mask in MASKS for score in SCORES]
    spliced = [name for name, kind in methods().items() if issubclass(kind, InGraph) and name != "reciprocam"]
    found = [*own, *map(Variant, spliced)]
    found += [Variant("reciprocam", {"mask": "pixel", "score": "logit"}, "middle")]
    found += [Variant(name, where="middle") for name in IN_THE_MIDDLE[1:]]
    if boxes:
        found += [
            Variant(name) for name, kind in methods().items() if issubclass(kind, BlackBox) and name != "extremal"
        ]
    return found


def middle(network: Network) -> Target:
    """The last end of a block with twice the height of the automatic target."""
    last = automatic(network)[0].seen_grid
    larger = [target for target in network.targets if target.seen_grid[0] >= 2 * last[0] - 1]
    return [target for target in larger if target.tensor.inputs[0].op in BLOCK_ENDS][-1]


def main() -> None:
    """Evaluate, then summarise over the pictures that all variants of a network explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", choices=[*NETWORKS, []], default=list(NETWORKS))
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--set", default="single", choices=["single", "pair"])
    parser.add_argument("--boxes", action="store_true", help="black boxes too")
    parser.add_argument("--limit", type=int, help="only so many pictures, evenly spread")
    parser.add_argument("--steps", type=int, help="deletion and insertion too, in so many steps")
    parser.add_argument("--out", type=Path, default=HERE / "quality.csv")
    given = parser.parse_args()
    rows = [row for name in given.networks or NETWORKS for row in _network(name, given)]
    with given.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _protocol(given: argparse.Namespace) -> Protocol:
    if given.set == "pair":  # each object's class is explained; the other object is the trap
        return Protocol(metrics=("pointing", "energy"), explained="label")
    causal = {"deletion", "insertion"} if given.steps is None else set()
    return Protocol(metrics=tuple(name for name in METRICS if name not in causal), steps=given.steps or 224)


def _network(name: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    path = network_file(name, given.cache)
    network = study(path)
    hooked = middle(network).node
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    protocol, rows, kept = _protocol(given), [], []
    with Progress() as bars:
        for variant in variants(boxes=given.boxes):
            target = hooked if variant.where == "middle" else None
            task = bars.add_task(f"{name}: {variant.name}", total=None)
            folder = given.cache / "results" / f"{given.set}-{given.steps}" / name / variant.name
            found = evaluate(
                path,
                given.cache / f"{given.set}.csv",
                folder,
                methods=[variant.method],
                protocol=protocol,
                limit=given.limit,
                preprocessing=NETWORKS[name].preprocessing,
                session_options=options,
                progress=lambda done, total, _what, task=task: bars.update(task, completed=done, total=total),
                **variant.options,
                **({"target": target} if target and Needs.CELLS in methods()[variant.method].needs else {}),
            )
            kept.append(variant)
            rows += [dict(row, method=variant.name) for row in found.rows]
    lines = summarise(rows, [variant.name for variant in kept], protocol.metrics)
    by_name = {variant.name: variant for variant in kept}
    return [_row(name, given.set, by_name[str(row["method"])], row, network) for row in to_rows(lines)]


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
        "where": variant.where if cells else "",
        "grid": "x".join(map(str, target.seen_grid)) if cells else "",
        "metric": row["metric"],
        "pictures": row["pictures"],
        **numbers,
    }


if __name__ == "__main__":
    main()
