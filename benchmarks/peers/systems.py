"""Who takes part: the same network in onnxruntime, OpenVINO and PyTorch, without and with explanations."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort

import onnx_reciprocam as rc
from benchmarks.peers.contest import Entry, ask
from onnx_reciprocam.model_run import ModelRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

THREADS = 2
OURS, OPENVINO, PYTORCH = "onnx_reciprocam", "openvino_xai", "grad_cam"
OURS_EXPLAINED = "predicted"
CAMS = ("resnet18", "resnet50", "vgg16")
"""What pytorch-grad-cam is measured on."""
PACKAGES = {
    OURS: ("onnxruntime", "onnx_reciprocam"),
    OPENVINO: ("openvino", "openvino_xai", "numpy"),
    PYTORCH: ("torch", "torchvision", "grad_cam"),
}
"""Whose versions a row tells."""


@dataclass(frozen=True)
class Network:
    """One network of the zoo, as files in a folder of its own.

    Args:
        name: As torchvision and the zoo call it.
        folder: Holds ``plain.onnx``, of static batch 1, and ``dynamic.onnx``, of any batch.
    """

    name: str
    folder: Path

    @classmethod
    def written(cls, name: str, folder: Path, load: Callable[[str, str], onnx.ModelProto]) -> Network:
        """Draw its weights and write both files."""
        for stem, exporter in (("plain", "ts1"), ("dynamic", "dynamon")):
            onnx.save(load(name, exporter), folder / f"{stem}.onnx")
        return cls(name, folder)

    def file(self, name: str) -> str:
        """Path of one of its files."""
        return str(self.folder / name)

    def megabytes(self, *names: str) -> str:
        """What files of it take on disk, in 10^6 bytes."""
        return f"{sum((self.folder / name).stat().st_size for name in names) / 1e6:.2f}"


def ours(network: Network) -> list[Entry]:
    """Plain, with the map of the predicted class, and with the maps of all classes as OpenVINO-XAI has them."""
    plain = network.file("plain.onnx")
    rc.rewrite(plain, network.file(f"{OURS_EXPLAINED}.onnx"))
    rc.rewrite(plain, network.file("all.onnx"), classes="all")
    rc.rewrite(network.file("dynamic.onnx"), network.file("explained-dynamic.onnx"))
    target = ort.InferenceSession(network.file("all.onnx")).get_modelmeta().custom_metadata_map["reciprocam.target"]
    two = _run(network.file("explained-dynamic.onnx"), 2)["saliency"]
    return [
        _of_onnxruntime(network, "plain", {}),
        _of_onnxruntime(
            network, OURS_EXPLAINED, {"target": target, "two_images": f"maps {list(two.shape)} for 2 images"}
        ),
        _of_onnxruntime(network, "all", {"target": target}),
    ]


def openvino_xai(network: Network, python: Path) -> list[Entry]:
    """Plain, and with maps of all classes."""
    task = {"model": network.file("plain.onnx"), "dynamic": network.file("dynamic.onnx"), "folder": str(network.folder)}
    found = ask(python, "insert_openvino_xai.py", task)
    facts = {}
    if not found["failed"]:
        facts = {"target": found["target"], "two_images": found["batch"], **_differences(network)}
    return [
        _of_openvino(network, "plain", python, {}, ""),
        _of_openvino(network, "explained", python, facts, found["failed"]),
    ]


def grad_cam(network: Network, python: Path) -> list[Entry]:
    """Plain PyTorch, GradCAM and ScoreCAM."""
    task = {"model": network.name, "threads": THREADS}
    return [
        Entry(PYTORCH, variant, python, "run_pytorch.py", task, once=variant == "ScoreCAM")
        for variant in ("plain", "GradCAM", "ScoreCAM")
    ]


def versions(system: str, python: Path) -> str:
    """What is installed, as ``name version`` of each package."""
    script = "import sys, importlib.metadata as m; print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
    command = [str(python), "-c", script, *PACKAGES[system]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - see above


def _differences(network: Network) -> dict[str, str]:
    """How far OpenVINO-XAI's predictions and maps are from ours."""
    rc.rewrite(network.file("plain.onnx"), network.file("raw.onnx"), classes="all", normalize="none")
    predictions, maps = _run(network.file("raw.onnx"), 1).values()
    theirs = [np.load(network.folder / f"{name}.npy") for name in ("predictions", "maps")]
    return {
        "prediction_difference": f"{largest_difference(predictions, theirs[0], (1,)):.1e}",
        "map_difference": f"{largest_difference(maps, theirs[1], (2, 3)):.1e}",
    }


def largest_difference(ours: NDArray[np.floating], theirs: NDArray[np.floating], axes: tuple[int, ...]) -> float:
    """Once both are scaled to [0, 1] over ``axes``; infinite where they do not even have the same shape."""
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(_scaled(ours, axes) - _scaled(theirs, axes)).max())


def _scaled(values: NDArray[np.floating], axes: tuple[int, ...]) -> NDArray[np.floating]:
    low, high = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    return np.asarray((values - low) / (high - low))


def _run(path: str, images: int) -> dict[str, NDArray[np.floating]]:
    """Outputs by name, for the noise that all contestants are fed."""
    inputs = {"input": ("float32", (images, 3, 224, 224))}
    names = [output.name for output in ort.InferenceSession(path).get_outputs()]
    return dict(zip(names, ModelRun(path, inputs, THREADS, ("CPUExecutionProvider",)).start()(), strict=True))


def _of_onnxruntime(network: Network, stem: str, facts: Mapping[str, str]) -> Entry:
    task = {"model": network.file(f"{stem}.onnx"), "threads": THREADS}
    size = {"file_mb": network.megabytes(f"{stem}.onnx")}
    return Entry(OURS, stem, Path(sys.executable), "run_onnxruntime.py", task, {**facts, **size})


def _of_openvino(network: Network, stem: str, python: Path, facts: Mapping[str, str], failed: str) -> Entry:
    task = {"model": network.file(f"{stem}.xml"), "threads": THREADS}
    size = {} if failed else {"file_mb": network.megabytes(f"{stem}.xml", f"{stem}.bin")}
    return Entry(OPENVINO, stem, python, "run_openvino.py", task, {**facts, **size}, failed=failed)
