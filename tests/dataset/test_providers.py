"""What is taken where an execution provider is wanted that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnxruntime
import pytest
from photo_sets import rows_of

from onnx_reciprocam.dataset import batch
from onnx_reciprocam.dataset.providers import CPU, GPUS, offered, see_started
from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

CUDA = "CUDAExecutionProvider"


def test_the_names_are_onnxruntimes() -> None:
    assert {CUDA, "TensorrtExecutionProvider"} <= GPUS & {*onnxruntime.get_all_providers()}


@pytest.mark.parametrize(
    ("wanted", "here", "taken", "told"),
    [
        ((), [CPU], (), []),
        ((CPU,), [CPU], (CPU,), []),
        ((CUDA, CPU), [CUDA, CPU], (CUDA, CPU), []),
        ((CUDA, CPU), [CPU], (CPU,), [CUDA]),
        (("TensorrtExecutionProvider", CUDA, CPU), [CPU, CUDA], (CUDA, CPU), ["TensorrtExecutionProvider"]),
    ],
)
def test_the_next_one_is_taken_and_told(
    wanted: tuple[str, ...], here: list[str], taken: tuple[str, ...], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: here)
    said: list[str] = []
    assert offered(wanted, said.append) == taken
    assert [f"has no {name}; {taken[0]} takes its place" in each for name, each in zip(told, said, strict=True)] == [
        True
    ] * len(told)


@pytest.mark.parametrize("wanted", [(CUDA,), ("Nonsense", CPU), (CPU, "Nonsense")])
def test_none_that_is_there_or_a_wrong_name(wanted: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(OptionError, match=r"--provider does not take '(CUDA|Nonsense)\w*'; it takes CPU"):
        offered(wanted, pytest.fail)


def test_a_provider_that_does_not_start() -> None:
    said: list[str] = []
    see_started((CUDA, CPU), [CPU], said.append)
    assert len(said) == 1
    assert said[0].startswith(f"{CUDA} does not start on ")
    see_started((CUDA, CPU), [CUDA, CPU], pytest.fail)
    with pytest.raises(OptionError, match="--provider does not take 'CUDAExecutionProvider'; it takes CPU"):
        see_started((CUDA,), [CPU], pytest.fail)


@pytest.mark.skipif(CUDA in onnxruntime.get_available_providers(), reason="it is there")
def test_a_batch_goes_on_with_the_cpu_and_says_so(model: Path, pictures: Path, tmp_path: Path) -> None:
    told: list[str] = []
    batch(model, pictures, tmp_path / "out", batch_size=4, providers=[CUDA, CPU], tell=told.append)
    assert len(told) == 1
    assert f"has no {CUDA}; {CPU} takes its place" in told[0]
    batch(model, pictures, tmp_path / "cpu", batch_size=4)
    maps = [[row["map"] for row in rows_of(tmp_path / name)] for name in ("out", "cpu")]
    assert maps[0] == maps[1]
    with pytest.raises(OptionError, match=CUDA):
        batch(model, pictures, tmp_path / "other", providers=[CUDA])
