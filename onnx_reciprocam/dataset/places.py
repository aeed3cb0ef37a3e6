"""Local paths and URLs, opened alike."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from onnx_reciprocam.errors import MissingPackageError, SourceError


def is_url(place: str) -> bool:
    """Whether fsspec has to open it: ``s3://``, ``gs://``, ``https://``, ``memory://``, ..."""
    scheme, mark, _ = place.partition("://")
    return bool(mark) and scheme.isalnum()


def open_place(place: str) -> IO[bytes]:
    """Open a file for reading at any offset.

    Raises:
        OSError, ValueError: It cannot be opened.
    """
    if not is_url(place):
        return Path(place).open("rb")
    system, path = file_system(place)
    stream: IO[bytes] = system.open(path, "rb")
    return stream


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
    try:
        system, path = url_to_fs(url)
    except ImportError as error:  # fsspec names the package
        raise SourceError(url, f"{str(error).rstrip('.')}; install it beside this package") from error
    except ValueError as error:
        raise SourceError(url, f"{str(error).rstrip('.')}; name a local path or a URL that fsspec knows") from error
    return system, str(path)


def why(error: BaseException) -> str:
    """In a few words and one line."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split()).lower()
