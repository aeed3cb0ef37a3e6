"""Every test here talks to a service in another process.

Nor could it be otherwise: KServe and tritonclient.grpc each bring the protocol's messages, and one process takes them once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from served_models import write_models
from services import Service

from onnx_reciprocam import ExplainedSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Begin = Callable[..., Service]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Explained files by their names; ``plain.onnx`` lies beside them."""
    return write_models(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="session")
def sessions(files: dict[str, Path]) -> dict[str, ExplainedSession]:
    """The same files, run without a service."""
    return {name: ExplainedSession(path) for name, path in files.items()}


@pytest.fixture(scope="session")
def service(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service of all files with default limits but the body's and the pixels'."""
    folder = tmp_path_factory.mktemp("service")
    limits = ("--max-body", "1MB", "--max-pixels", "1000000")
    with Service(folder, list(files.values()), *limits) as running:
        yield running
        assert running.lives()


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts services of two workers that end by themselves; one that does not is killed, and its workers end with it."""
    begun: list[Service] = []

    def begin(path: Path, *options: str, **how: Any) -> Service:
        begun.append(Service(tmp_path, [path], "--workers", "2", *options, **how))
        return begun[-1]

    yield begin
    for service in begun:
        service.process.kill()
        service.process.wait()
