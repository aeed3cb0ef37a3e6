from __future__ import annotations

import shutil
import struct
import tempfile
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pytest
from command_line import CommandLine
from tiny_models import CLASSES, classifier, unchecked

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file, good and bad."""
    folder = tmp_path_factory.mktemp("stock")
    for name, model in {"plain": classifier(), "other": classifier(1), "unchecked": unchecked()}.items():
        onnx.save(model, folder / f"{name}.onnx")
    for name, classes in {"explained": "predicted", "asked": "input"}.items():
        rc.rewrite(folder / "plain.onnx", folder / f"{name}.onnx", classes=classes)
    _spoil(folder, (folder / "plain.onnx").read_bytes())
    _draw(folder)
    for name, count in {"names": CLASSES, "few": CLASSES - 1, "many": CLASSES + 1}.items():
        (folder / f"{name}.txt").write_text("".join(f"class of {i}\n" for i in range(count)))
    (folder / "full").mkdir()
    return folder


def _spoil(folder: Path, whole: bytes) -> None:
    (folder / "empty.onnx").touch()
    (folder / "half.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "random.onnx").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text.onnx").write_text("a text, and no model\n" * 50)


def _draw(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for ending in ("png", "jpg"):
        whole = cv2.imencode(f".{ending}", pixels)[1].tobytes()
        (folder / f"photo.{ending}").write_bytes(whole)
        (folder / f"cut.{ending}").write_bytes(whole[: len(whole) // 2])
    (folder / "dot.png").write_bytes(cv2.imencode(".png", pixels[:1, :1])[1].tobytes())
    (folder / "none.png").touch()
    (folder / "text.jpg").write_text("no picture at all\n" * 20)
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    (folder / "vast.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + end
    )


@pytest.fixture
def cli(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line in a copy of the stock, temporary files included, 80 columns wide."""
    shutil.copytree(stock, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    return CommandLine(tmp_path, capfd)
