"""What `batch` really leaves, in each of its formats, is what `report` reads."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from batches import photo
from page_data import cards
from tiny_networks import Tiny

from onnx_reciprocam.contract import Preprocessing
from onnx_reciprocam.dataset import batch, read_rows
from onnx_reciprocam.reporting import report
from onnx_reciprocam.reporting.facts import entropy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five pictures and a file that is none."""
    folder = tmp_path / "pictures"
    for number in range(5):
        photo(folder / f"{number}.jpg", number, (30, 40))
    (folder / "5.jpg").write_text("no picture")
    return folder


@pytest.mark.parametrize("form", ["parquet", "npz"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_row_is_on_the_page(form: str, packed: bool, source: Path, tmp_path: Path) -> None:
    onnx.save(Tiny().build(), tmp_path / "tiny.onnx")
    pictures = source
    if packed:
        pictures = tmp_path / "shard.tar"
        with tarfile.open(pictures, "w") as archive:
            for path in sorted(source.iterdir()):
                archive.add(path, path.name)
    prepared = Preprocessing(size=(6, 8), crop=None)
    how = {"classes": "top:2", "batch_size": 2, "rows_per_part": 2}
    batch(tmp_path / "tiny.onnx", pictures, tmp_path / "out", form=form, preprocessing=prepared, **how)
    found = report(tmp_path / "out")
    assert (found.rows, found.failed, found.gone, found.missing) == (6, 1, 0, "")
    told = [row for each in read_rows(tmp_path / "out") for row in each.to_pylist()]
    shown = cards(found.page)
    assert [each["path"] for each in shown] == [row["path"] for row in told]
    assert "not a JPEG, PNG or WebP" in shown[5]["error"]
    for row, each in list(zip(told, shown, strict=True))[:5]:
        assert each["top"] == [
            [f"class {class_id}", score] for class_id, score in zip(row["top_classes"], row["top_scores"], strict=True)
        ]
        maps = np.asarray(row["map"]).reshape(row["map_shape"])
        assert [entry["entropy"] for entry in each["maps"]] == [pytest.approx(entropy(one)) for one in maps]
        assert each["picture"]
        assert (each["original"] is None) == packed
