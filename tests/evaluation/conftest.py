from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from evaluations import how
from pictures import data_set, network

from onnx_reciprocam.evaluation import evaluate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished evaluation, its model and data beside it; not to be written to."""
    folder = tmp_path_factory.mktemp("made")
    return evaluate(network(folder), data_set(folder / "data"), folder / "out", **how())


@pytest.fixture
def found(made: Any, tmp_path: Path) -> Any:
    """Its results in a folder of the test's own."""
    shutil.copytree(made.folder, tmp_path / "out")
    return replace(made, folder=tmp_path / "out")
