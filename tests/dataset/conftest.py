from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from photo_sets import explained, photos

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explained(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    return photos(tmp_path_factory.mktemp("data") / "photos")
