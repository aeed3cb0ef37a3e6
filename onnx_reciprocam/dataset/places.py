"""Local paths and URLs, opened alike."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from onnx_reciprocam.errors import MissingPackageError, SourceError, WriteError

if TYPE_CHECKING:
    import os

_BLOCK = 8 << 20
"""Bytes of a shard behind a URL that are fetched at once."""
_PACKAGES = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}
"""What a scheme needs beside fsspec, and the extra that brings it."""
_ONE_REQUEST = {"max_concurrency": 1}
"""Of s3fs: more would ask for the size of a file before the file."""
_OPTIONS = {"s3": _ONE_REQUEST, "s3a": _ONE_REQUEST}


def is_url(place: str) -> bool:
    """Whether fsspec has to open it: ``s3://``, ``gs://``, ``https://``, ``memory://``, ..."""
    scheme, mark, _ = place.partition("://")
    return bool(mark) and scheme.isalnum()


def is_web(place: str) -> bool:
    """Whether it is an address that may end in a query."""
    return place.startswith(("http://", "https://"))


def local_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder that results go to.

    Raises:
        WriteError: It is a URL: parts are written under another name and renamed, which stores of objects cannot do.
    """
    if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]+(?=:/)", str(folder)):  # a Path has lost the second slash
        local = "results go to a folder of this machine, or one that is mounted here"
        raise WriteError(str(folder), f"{local}, and not to {scheme[0]}://; name one, and copy it there afterwards")
    return Path(folder)


def ending(place: str) -> str:
    """Of a file's name, in lower case; of two parts where it is ``.tar.gz``; a query after it is left out."""
    path = place.partition("?")[0] if is_web(place) else place
    stem, dot, last = path.rpartition("/")[2].lower().rpartition(".")
    if not stem:
        return ""
    return f".tar.{last}" if last == "gz" and stem.endswith(".tar") else dot + last


def read_bytes(place: str, offset: int = 0, size: int | None = None) -> bytes:
    """A file, or so many bytes of it: one request, where it is behind a URL.

    Raises:
        OSError, ValueError: It cannot be read.
    """
    if not is_url(place):
        with Path(place).open("rb") as stream:
            stream.seek(offset)
            return stream.read() if size is None else stream.read(size)
    system, path = file_system(place)
    try:
        data: bytes = system.cat_file(path, start=offset or None, end=None if size is None else offset + size)
    except Exception as error:  # every file system raises its own kinds
        raise OSError(why(error)) from error
    whole = size is not None and len(data) > size  # from a server that knows no ranges
    return data[offset:][:size] if whole else data


def open_place(place: str) -> IO[bytes]:
    """Open a file for reading at any offset.

    Raises:
        OSError, ValueError: It cannot be opened.
    """
    if not is_url(place):
        return Path(place).open("rb")
    system, path = file_system(place)
    return io.BufferedReader(_Remote(lambda: system.open(path, "rb", block_size=_BLOCK)))


class _Remote(io.RawIOBase):
    """A file behind a URL, where whatever goes wrong is an OSError: every file system raises its own kinds."""

    def __init__(self, opened: Any) -> None:
        self._stream = _asked(opened)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def readinto(self, buffer: Any) -> int:
        data = _asked(lambda: self._stream.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(_asked(lambda: self._stream.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _asked(answer: Any) -> Any:
    try:
        return answer()
    except Exception as error:
        raise OSError(why(error)) from error


def file_system(url: str) -> tuple[Any, str]:
    """Fsspec's file system of a URL, and the path there.

    Raises:
        MissingPackageError: fsspec, or what it needs for such a URL, is not installed.
        SourceError: There is no such kind of URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingPackageError("fsspec", "batch") from None
    scheme = url.partition("://")[0]
    try:
        system, path = url_to_fs(url, **_OPTIONS.get(scheme, {}))
    except ImportError as error:  # fsspec names the package
        if known := _PACKAGES.get(scheme):
            raise MissingPackageError(*known) from error
        raise SourceError(url, f"{str(error).rstrip('.')}; install it beside this package") from error
    except ValueError as error:
        raise SourceError(url, f"{str(error).rstrip('.')}; name a local path or a URL that fsspec knows") from error
    return system, str(path)


def why(error: BaseException) -> str:
    """In a few words and one line."""
    reason = getattr(error, "strerror", None)
    if not reason and isinstance(error, FileNotFoundError):  # fsspec's have the path alone
        reason = "no such file"
    reason = reason or str(error) or type(error).__name__
    return " ".join(str(reason).split()).lower()
