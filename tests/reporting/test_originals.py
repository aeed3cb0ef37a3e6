"""Pictures are found again wherever the batch read them, and are never taken for others."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onnx_reciprocam.dataset import items
from onnx_reciprocam.errors import ImageError
from onnx_reciprocam.reporting.originals import Originals
from onnx_reciprocam.reporting.shards import split

if TYPE_CHECKING:
    from pathlib import Path


def png(number: int) -> bytes:
    """One pixel, whose red is the number."""
    return bytes(cv2.imencode(".png", np.full((1, 1, 3), (0, 0, number), np.uint8))[1].tobytes())


def red(originals: Originals, path: str, **told: Any) -> int:
    return int(originals.read({"path": path, **told})[0, 0, 0])


def tar(path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for number in range(3):
            member = tarfile.TarInfo(f"inner/{number}.png")
            member.size = len(png(number))
            archive.addfile(member, io.BytesIO(png(number)))
    return path


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b.tar/c/d.jpg", ("a/b.tar", "/c/d.jpg")),
        ("s3://bucket/b.TAR.gz/c.jpg", ("s3://bucket/b.TAR.gz", "/c.jpg")),
        ("b.tgz/c.tar/d.jpg", ("b.tgz", "/c.tar/d.jpg")),
        ("c.parquet#12", ("c.parquet", "#12")),
        ("a/b.jpg", ("", "")),
        ("c.parquet#x", ("", "")),
        ("b.tar", ("", "")),
    ],
)
def test_split(path: str, parts: tuple[str, str]) -> None:
    assert split(path) == parts


def test_members_of_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar(tmp_path / "one.tar")
    originals = Originals(tmp_path / "batch")
    assert [red(originals, f"{tmp_path}/one.tar/inner/{number}.png") for number in (2, 0, 1)] == [2, 0, 1]
    monkeypatch.chdir(tmp_path)
    assert red(originals, "one.tar/inner/1.png") == 1
    for path, reason in (("one.tar/inner/9.png", "no longer in its shard"), ("two.tar/0.png", "two.tar is no longer")):
        with pytest.raises(ImageError, match=reason):
            originals.read({"path": path})
    assert originals.address("one.tar/inner/1.png") is None


def test_a_compressed_tar_is_not_read_through(tmp_path: Path) -> None:
    tar(tmp_path / "one.tar.gz", "w:gz")
    with pytest.raises(ImageError, match="or that is compressed"):
        Originals(tmp_path).read({"path": "one.tar.gz/inner/1.png"})


def test_rows_of_a_parquet_file(tmp_path: Path) -> None:
    cells = [{"bytes": png(number), "path": None} for number in range(5)]
    pq.write_table(pa.table({"image": cells}), tmp_path / "data.parquet", row_group_size=2)
    originals = Originals(tmp_path)
    assert [red(originals, f"data.parquet#{number}") for number in (0, 3, 4)] == [0, 3, 4]
    items.read_column.cache_clear()


def test_urls(tmp_path: Path) -> None:
    from fsspec import filesystem

    memory = filesystem("memory")
    memory.pipe("/shelf/one.png", png(7))
    assert red(Originals(tmp_path), "memory://shelf/one.png") == 7
    memory.rm("/shelf", recursive=True)


def test_an_address_that_answers_nobody_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def read(item: items.FileItem) -> bytes:
        tried.append(item.name)
        raise ImageError(item.name, "timed out")

    monkeypatch.setattr(items.FileItem, "read", read)
    originals = Originals(tmp_path)
    for number in range(9):
        with pytest.raises(ImageError, match="timed out" if number < 5 else "others of nowhere://bucket"):
            originals.read({"path": f"nowhere://bucket/{number}.png"})
    assert len(tried) == 5


def test_another_picture_is_not_the_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    originals = Originals(tmp_path)
    assert red(originals, "a.png", height=1, width=1) == 1
    with pytest.raises(ImageError, match="changed since"):
        originals.read({"path": "a.png", "sha256": "0" * 64})
    with pytest.raises(ImageError, match="another size"):
        originals.read({"path": "a.png", "height": 2, "width": 1})


@pytest.mark.parametrize("path", ["gone.png", "a\0b.png", "x" * 5000, "", "nowhere://bucket/a.png"])
def test_no_such_picture(path: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no longer there|Protocol not known"):
        Originals(tmp_path).read({"path": path})
    assert Originals(tmp_path).address(path) is None
