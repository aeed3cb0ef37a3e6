"""PyTorch's first checkpoint format, read with numpy and without PyTorch.

Until PyTorch 1.6 ``torch.save`` wrote five pickles in a row (magic number, protocol, byte order, the objects, the keys
of their storages) and then the bytes of every storage. A pickle is a program; here it may call two functions of this
file and nothing else.

Source:
    ``torch.serialization._legacy_save``, PyTorch 1.5.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from pickletools import opcodes
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from onnx_reciprocam.errors import ModelFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
PICKLE_PROTOCOL = 2

# Strings, because a pickle can neither call nor change them.
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


def read_legacy_checkpoint(path: Path | str) -> dict[str, NDArray[Any]]:
    """Read a state dict: every tensor by its name, in the file's order.

    Args:
        path: A file that ``torch.save(model.state_dict(), path)`` wrote before PyTorch 1.6.

    Returns:
        Arrays in C order, each with memory of its own, whatever strides and sharing the file had.

    Raises:
        ModelFileError: The file is missing, cut short, of another format, or not a plain state dict; nothing that it
            names beyond tensors and dictionaries is looked up, let alone called.
    """
    try:
        return _read(io.BytesIO(Path(path).read_bytes()))
    except OSError as error:
        raise ModelFileError(str(path), f"cannot be read ({error.strerror}); check the path") from error
    except pickle.UnpicklingError as error:
        raise ModelFileError(str(path), f"no legacy PyTorch checkpoint: {error}") from error
    except Exception as error:  # a damaged pickle raises anything, says the pickle module's documentation
        reason = f"no legacy PyTorch checkpoint, or a damaged one ({type(error).__name__}); download it again"
        raise ModelFileError(str(path), reason) from error


class _Storage(NamedTuple):
    """A flat array whose bytes follow later in the file."""

    dtype: str
    key: str


class _Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Entries(dict[str, Any]):
    """Stands in for ``OrderedDict``, on which PyTorch leaves the versions of its modules."""

    def __setstate__(self, state: object) -> None:
        """Drop the versions."""


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_gradient: object
) -> _Tensor:
    """Stands in for ``torch._utils._rebuild_tensor_v2``: the storage's bytes are not there yet."""
    return _Tensor(storage, offset, shape, strides)


# The one written in Python: the one in C allocates whatever table size the file claims.
_PythonUnpickler = pickle._Unpickler  # noqa: SLF001 - the C unpickler allocates whatever memo a file claims


class _TensorUnpickler(_PythonUnpickler):
    """Unpickles dictionaries of tensors and refuses every other name, and every opcode later than ``torch.save``'s."""

    dispatch: ClassVar = {
        ord(opcode.code): _PythonUnpickler.dispatch[ord(opcode.code)]
        for opcode in opcodes
        if opcode.proto <= PICKLE_PROTOCOL
    }

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return _Entries
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild_tensor
            case "torch", str() if name in STORAGE_DTYPES:
                return STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"it asks for {f'{module}.{name}'!r}, which no state dict needs")

    def persistent_load(self, pid: object) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(), None) if dtype in STORAGE_DTYPES.values():
                return _Storage(dtype, key)
        raise pickle.UnpicklingError("it holds something other than plain tensors")


def _read(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    if file.read(2) == b"PK":
        reason = "it is a zip archive, as PyTorch writes since 1.6; save it with _use_new_zipfile_serialization=False"
        raise pickle.UnpicklingError(reason)
    file.seek(0)
    if _unpickle(file) != MAGIC or _unpickle(file) != PROTOCOL:
        raise pickle.UnpicklingError("wrong magic number")
    if not _unpickle(file)["little_endian"]:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    tensors = _named_tensors(_unpickle(file))
    dtypes = {tensor.storage.key: np.dtype(tensor.storage.dtype) for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in _unpickle(file)}
    return {name: _view(tensor, storages[tensor.storage.key]).copy() for name, tensor in tensors.items()}


def _unpickle(file: IO[bytes]) -> Any:
    return _TensorUnpickler(file).load()


def _named_tensors(entries: object) -> dict[str, _Tensor]:
    if not isinstance(entries, dict):
        raise pickle.UnpicklingError("it holds no state dict")
    for name, value in entries.items():
        if not (isinstance(name, str) and isinstance(value, _Tensor) and isinstance(value.storage, _Storage)):
            raise pickle.UnpicklingError("its state dict holds something other than named tensors")
    return entries


def _read_storage(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    length = int.from_bytes(file.read(8), "little")
    data = file.read(length * dtype.itemsize)
    if len(data) < length * dtype.itemsize:
        raise pickle.UnpicklingError("it is cut short; download it again")
    return np.frombuffer(data, dtype)


def _view(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    """The tensor's elements in place, after checking that all of them lie inside the storage."""
    shape, strides, offset = tensor.shape, tensor.strides, tensor.offset
    if not all(isinstance(number, int) for number in (offset, *shape, *strides)):
        raise pickle.UnpicklingError("a tensor's shape is not made of integers")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or math.prod(shape) > storage.size or last >= storage.size:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    in_bytes = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, in_bytes, writeable=False)
