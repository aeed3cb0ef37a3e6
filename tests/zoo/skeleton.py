"""Real networks as PyTorch writes them, without PyTorch and without their weights.

A file of ``skeletons/`` is an export whose weights are replaced by the law to draw them from::

    from skeleton import load, names

    model = load("resnet18", "ts1")     # an onnx.ModelProto with healthy random weights

The weights are fitted to images of standard normal noise, ``[B, 3, H, W]``.
``export.py`` makes the files and says what the exporters are called.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import onnx
from laws import Law

FOLDER = Path(__file__).parent / "skeletons"
TRANSFORMERS = Path(__file__).parent / "transformers"
SUFFIX = ".onnx.gz"


def names() -> list[tuple[str, str]]:
    """Every network and exporter that there is, sorted."""
    stems = sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))
    return [(name, exporter) for name, _, exporter in (stem.rpartition(".") for stem in stems)]


def load(name: str, exporter: str, seed: int = 0) -> onnx.ModelProto:
    """The network with weights drawn anew; the same seed gives the same weights.

    Raises:
        FileNotFoundError: No skeleton has that name and exporter.
    """
    model = read(name, exporter)
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.doc_string:
            tensor.raw_data = Law.from_json(tensor.doc_string).draw(tensor.dims, seed, index).tobytes()
            tensor.ClearField("doc_string")
    return model


def transformer(name: str) -> onnx.ModelProto:
    """One of the tiny transformers that ``export_transformers.py`` makes, such as ``vit.ts1``, weights and all."""
    return onnx.load_from_string(gzip.decompress((TRANSFORMERS / f"{name}{SUFFIX}").read_bytes()))


def image_size(name: str) -> int:
    """Height and width of the images that the network takes, in pixels.

    Raises:
        FileNotFoundError: No skeleton has that name.
    """
    exporters = [exporter for known, exporter in names() if known == name]
    if not exporters:
        raise FileNotFoundError(FOLDER / f"{name}.*{SUFFIX}")
    return int(read(name, exporters[0]).graph.input[0].type.tensor_type.shape.dim[-1].dim_value)


def read(name: str, exporter: str) -> onnx.ModelProto:
    """The skeleton as it is stored: a law instead of values in the ``doc_string`` of each weight."""
    return onnx.load_from_string(gzip.decompress((FOLDER / f"{name}.{exporter}{SUFFIX}").read_bytes()))


def write(model: onnx.ModelProto, name: str, exporter: str) -> Path:
    """Store a skeleton; the same model gives the same bytes."""
    path = FOLDER / f"{name}.{exporter}{SUFFIX}"
    path.write_bytes(gzip.compress(model.SerializeToString(deterministic=True), 9, mtime=0))
    return path
