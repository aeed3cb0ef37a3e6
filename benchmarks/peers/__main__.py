"""Ours, OpenVINO-XAI and pytorch-grad-cam on the same networks, in one run: times and memory, into peers.csv.

    python -m benchmarks.peers.environments                   # once: what the peers need, in environments of their own
    python -m benchmarks.peers                                # everything, into benchmarks/peers.csv
    python -m benchmarks.peers resnet50 --peer grad_cam       # one network against one peer
    python -m benchmarks.peers --skip ScoreCAM                # without what takes minutes

From the root of the repository. Batch 1, 2 threads, CPU, random weights; see ../README.md for the columns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.networks import about_this_machine, as_csv
from benchmarks.peers import systems
from benchmarks.peers.contest import race
from benchmarks.peers.environments import DEFAULT, PEERS, interpreter
from benchmarks.peers.rows import COLUMNS, rows_of
from onnx_reciprocam.runtime.atomic import write_atomically

BENCHMARKS = Path(__file__).parents[1]
NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "vgg16",
    "densenet121",
    "convnext_tiny",
    "swin_t",
    "deit_tiny_patch16_224",
    "vit_b_16",
)


def main() -> None:
    """Measure, print each network as it is done, and keep the file whole all the while."""
    sys.path.insert(0, str(BENCHMARKS.parent / "tests" / "zoo"))
    arguments = _arguments()
    pythons = {systems.OURS: Path(sys.executable)}
    pythons |= {peer: interpreter(peer, arguments.environments) for peer in arguments.peer or PEERS}
    versions = {system: systems.versions(system, python) for system, python in pythons.items()}
    machine, rows = about_this_machine(), list[dict[str, str]]()
    for name in arguments.network or NETWORKS:
        for row in _measured(name, pythons, arguments.skip, arguments.runs):
            rows.append(machine | row | {"versions": versions[row["system"]]})
            print(", ".join(f"{key} {row[key]}" for key in COLUMNS if row[key]), flush=True)
        write_atomically(arguments.out, as_csv(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"all if none is named: {', '.join(NETWORKS)}")
    parser.add_argument("--peer", action="append", choices=PEERS, help="may be repeated (default: all)")
    parser.add_argument("--skip", action="append", default=[], metavar="VARIANT", help="such as ScoreCAM (minutes)")
    parser.add_argument("--runs", type=int, default=15, help="of each contestant (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "peers.csv", help="replaced (default: %(default)s)")
    parser.add_argument("--environments", type=Path, default=DEFAULT, help="default: %(default)s")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.network) - set(NETWORKS)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    for peer in arguments.peer or PEERS:
        if not interpreter(peer, arguments.environments).exists():
            parser.error(f"{peer} is not installed; first: python -m benchmarks.peers.environments {peer}")
    return arguments


def _measured(name: str, pythons: dict[str, Path], skip: list[str], runs: int) -> list[dict[str, str]]:
    from skeleton import load

    with TemporaryDirectory(prefix="reciprocam-peers-") as folder:
        network = systems.Network.written(name, Path(folder), load)
        entries = systems.ours(network)
        if systems.OPENVINO in pythons:
            entries += systems.openvino_xai(network, pythons[systems.OPENVINO])
        if systems.PYTORCH in pythons and name in systems.CAMS:
            entries += systems.grad_cam(network, pythons[systems.PYTORCH])
        entries = [entry for entry in entries if entry.variant not in skip]
        return rows_of(name, entries, race(entries, runs, warmup=3))


if __name__ == "__main__":
    main()
