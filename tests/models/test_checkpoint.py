from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import sys
import tracemalloc
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnx_reciprocam.errors import ModelFileError
from onnx_reciprocam.models import read_legacy_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass
class Storage:
    kind: type
    key: str
    data: NDArray[Any]


@dataclass
class Tensor:
    """What ``torch.save`` sees of a tensor: a view of a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild = vars(sys.modules["torch._utils"])["_rebuild_tensor_v2"]
        view = (self.storage, self.offset, self.shape, self.strides)
        return rebuild, (*view, False, collections.OrderedDict())


class LegacyPickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", obj.data.size, None) if isinstance(obj, Storage) else None


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """As much of PyTorch as pickling needs: names that can be imported."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage", "BFloat16Storage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    vars(utils)["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


def legacy(state: object, storages: Mapping[str, NDArray[Any]], *, little_endian: bool = True) -> bytes:
    """A checkpoint as ``torch.serialization._legacy_save`` writes it."""
    file = io.BytesIO()
    for header in (MAGIC, 1001, {"protocol_version": 1001, "little_endian": little_endian}):
        pickle.dump(header, file, protocol=2)
    LegacyPickler(file, protocol=2).dump(state)
    pickle.dump(list(storages), file, protocol=2)
    for data in storages.values():
        file.write(data.size.to_bytes(8, "little") + data.tobytes())
    return file.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Any]:
    def read_bytes(content: bytes) -> Any:
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return read_legacy_checkpoint(path)

    return read_bytes


@pytest.fixture
def small(torch: Any) -> bytes:
    """Two tensors of one storage, one transposed, and an integer scalar."""
    floats, count = np.arange(12, dtype="<f4"), np.array([7], "<i8")
    shared = Storage(torch.FloatStorage, "11", floats)
    state = collections.OrderedDict(
        transposed=Tensor(shared, 0, (3, 2), (1, 3)),
        tail=Tensor(shared, 6, (6,), (1,)),
        count=Tensor(Storage(torch.LongStorage, "22", count), 0, (), ()),
    )
    vars(state)["_metadata"] = {"": {"version": 1}}  # as PyTorch leaves it
    return legacy(state, {"11": floats, "22": count})


def test_reads_views_of_a_shared_storage(small: bytes, read: Callable[[bytes], Any]) -> None:
    state = read(small)
    assert list(state) == ["transposed", "tail", "count"]
    np.testing.assert_array_equal(state["transposed"], np.array([[0, 3], [1, 4], [2, 5]], np.float32))
    np.testing.assert_array_equal(state["tail"], np.arange(6, 12, dtype=np.float32))
    assert state["count"].shape == ()
    assert state["count"] == 7
    assert [array.dtype.str for array in state.values()] == ["<f4", "<f4", "<i8"]
    assert all(array.flags.c_contiguous and array.flags.writeable for array in state.values())


def test_half_precision(torch: Any, read: Callable[[bytes], Any]) -> None:
    data = np.array([1.5, -2], "<f2")
    state = {"w": Tensor(Storage(torch.HalfStorage, "1", data), 0, (2,), (1,))}
    np.testing.assert_array_equal(read(legacy(state, {"1": data}))["w"], data)


def test_every_truncation_is_refused(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "short.pth"
    for length in range(len(small)):
        path.write_bytes(small[:length])
        with pytest.raises(ModelFileError, match="no legacy PyTorch checkpoint"):
            read_legacy_checkpoint(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_gives_arrays_or_the_one_error(small: bytes, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged)
    with contextlib.suppress(ModelFileError):
        assert all(isinstance(array, np.ndarray) for array in read_legacy_checkpoint(path).values())


class Call:
    """Unpickles as a call of ``function``."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("place", ["magic", "protocol", "system", "state", "keys"])
def test_never_runs_code(tmp_path: Path, place: str, protocol: int, read: Callable[[bytes], Any]) -> None:
    trace = tmp_path / "ran"
    hostile = Call(os.system, f"touch '{trace}'")
    parts: dict[str, Any] = {
        "magic": MAGIC,
        "protocol": 1001,
        "system": {"little_endian": True},
        "state": {},
        "keys": [],
    }
    content = b"".join(pickle.dumps(part, protocol=2) for part in parts.values())
    assert read(content) == {}
    parts[place] = hostile
    content = b"".join(pickle.dumps(part, protocol if part is hostile else 2) for part in parts.values())
    with pytest.raises(ModelFileError, match=r"system|KeyError"):  # opcodes later than protocol 2 are not even known
        read(content)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "builtins.getattr", "torch.load", "torch.BFloat16Storage"])
def test_refuses_every_other_name(name: str, read: Callable[[bytes], Any]) -> None:
    module, _, attribute = name.rpartition(".")
    state = f"c{module}\n{attribute}\n.".encode()
    headers = b"".join(pickle.dumps(part, 2) for part in (MAGIC, 1001, {"little_endian": True}))
    with pytest.raises(ModelFileError, match=f"asks for '{name}', which no state dict needs"):
        read(headers + state)


def test_takes_no_memory_that_only_a_claim_asks_for(read: Callable[[bytes], Any]) -> None:
    remember_at = b"\x80\x02Nr\x00\x00\x00\x02."  # a memo slot beyond 32 million: 512 MB in pickle.Unpickler
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="wrong magic number"):
            read(remember_at)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2, -2), (1, 1)),
        (0, (10**12,), (0,)),
        (0, (2, 2), (1, 3)),
        (0, (2, 2), (1,)),
        (0, (2.0,), (1,)),
        (float("nan"), (2,), (1,)),
        ("0", (2,), (1,)),
    ],
)
def test_no_view_leaves_its_storage(
    torch: Any, read: Callable[[bytes], Any], offset: Any, shape: Any, strides: Any
) -> None:
    data = np.arange(4, dtype="<f4")
    state = {"w": Tensor(Storage(torch.FloatStorage, "1", data), offset, shape, strides)}
    with pytest.raises(ModelFileError, match=r"reaches beyond its storage|not made of integers|ValueError"):
        read(legacy(state, {"1": data}))


def test_storage_types_cannot_be_spelled_out(torch: Any, read: Callable[[bytes], Any]) -> None:
    data = np.zeros(1, "<i8")
    storage = Storage(torch.LongStorage, "1", data)
    storage.kind = "|O"  # type: ignore[assignment]  # pointers of the attacker's choice, if numpy were asked
    with pytest.raises(ModelFileError, match="other than plain tensors"):
        read(legacy({"w": Tensor(storage, 0, (1,), (1,))}, {"1": data}))


def test_foreign_files(small: bytes, read: Callable[[bytes], Any], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"zip archive.*_use_new_zipfile_serialization=False"):
        read(b"PK\x03\x04" + bytes(30))
    with pytest.raises(ModelFileError, match="wrong magic number"):
        read(pickle.dumps(1, 2) + small)
    with pytest.raises(ModelFileError, match="big-endian"):
        read(legacy({}, {}, little_endian=False))
    with pytest.raises(ModelFileError, match="no state dict"):
        read(legacy([], {}))
    with pytest.raises(ModelFileError, match="other than named tensors"):
        read(legacy({"epoch": 3}, {}))
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_legacy_checkpoint(tmp_path / "missing.pth")
