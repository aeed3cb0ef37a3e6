"""Parts of the results as files: Parquet, numpy's npz, or zarr in a zip file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam.dataset.columns import from_arrays, to_arrays
from onnx_reciprocam.dataset.rows import arrow
from onnx_reciprocam.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Format(NamedTuple):
    """A kind of file.

    Args:
        ending: Of its files' names.
        encode: A record batch as the bytes of a file.
        decode: A file as record batches.
    """

    ending: str
    encode: Callable[[Any], bytes]
    decode: Callable[[Path], Iterator[Any]]


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        OptionError: There is none.
        MissingPackageError: What writes it is not installed.
    """
    if name not in FORMATS:
        raise OptionError("--format", name, tuple(FORMATS))
    arrow()
    if name == "zarr":
        _zarr()
    return FORMATS[name]


def _to_parquet(batch: Any) -> bytes:
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    with pq.ParquetWriter(stream, batch.schema, compression="zstd") as writer:
        writer.write_batch(batch)
    return stream.getvalue()


def _from_parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches()


def _to_npz(batch: Any) -> bytes:
    stream = io.BytesIO()
    arrays: dict[str, Any] = dict(to_arrays(batch))
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _from_npz(path: Path) -> Iterator[Any]:
    with np.load(path, allow_pickle=False) as arrays:
        yield from_arrays(arrays)


def _to_zarr(batch: Any) -> bytes:
    """An array per column, one chunk each: a part is read whole."""
    zarr = _zarr()
    with TemporaryDirectory(prefix="reciprocam-") as folder, warnings.catch_warnings():
        path = Path(folder) / "part.zip"
        # Strings of any length are in zarr's format, though zarr's own list of stable types lags behind.
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        with zarr.storage.ZipStore(path, mode="w") as store:
            group = zarr.create_group(store=store)
            for name, values in to_arrays(batch).items():
                held = values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values
                group.create_array(name, data=held, chunks=values.shape)
        return path.read_bytes()


def _from_zarr(path: Path) -> Iterator[Any]:
    zarr = _zarr()
    with zarr.storage.ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        yield from_arrays({name: group[name][...] for name in group.array_keys()})


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise MissingPackageError("zarr", "zarr") from None
    return zarr


FORMATS = {
    "parquet": Format(".parquet", _to_parquet, _from_parquet),
    "npz": Format(".npz", _to_npz, _from_npz),
    "zarr": Format(".zarr.zip", _to_zarr, _from_zarr),
}
