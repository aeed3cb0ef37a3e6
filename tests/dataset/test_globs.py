"""Globs against Python's own, which lists all; in the order of folders, and with one folder in memory."""

from __future__ import annotations

import glob
import os
import tracemalloc
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.errors import ImageError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("a", "b", "ab", ".h", "a.jpg", "b.JPG", "c.png", "note.md", ".a.jpg", "[a].jpg")
STEPS = ("*", "**", "a", "?", "*b", "a*", "*.jpg", "[ab]", "[!a]*", ".*", "b.JPG", "[[]a].jpg", "")


def tree(folder: Path, paths: list[tuple[str, ...]]) -> list[str]:
    """Files at those paths, unless there is a file or folder already."""
    made = set()
    for path in paths:
        file = folder.joinpath(*path)
        if file.exists() or any(above.is_file() for above in file.parents):
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        made.add(str(file))
    return sorted(made)


def is_picture(path: str) -> bool:
    return Path(path).suffix.lower() in {".jpg", ".png"}


def slow(folder: Path, pattern: str) -> list[str]:
    """What ``glob`` matches, and the pictures of the folders among it, each once."""
    found = set()
    for match in glob.glob(f"{folder}/{pattern}", recursive=True):  # noqa: PTH207 - it is the oracle
        if Path(match).is_file():
            found.add(match)
        for inner, folders, files in os.walk(match):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found |= {f"{inner}/{name}" for name in files if not name.startswith(".")}
    return sorted({os.path.normpath(path) for path in found if is_picture(path)}, key=by_folder)


def by_folder(path: str) -> list[tuple[bool, str]]:
    """Files come before folders."""
    *folders, file = path.split("/")
    return [*((True, name) for name in folders), (False, file)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes a new folder for each tree."""
    numbers = iter(range(1_000_000))
    folder = tmp_path_factory.mktemp("trees")
    return lambda: folder / str(next(numbers))


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    paths=st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple), max_size=12),
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=4).filter(lambda steps: glob.has_magic("".join(steps))),
)
def test_a_glob_finds_what_pythons_own_does(root: Any, paths: list[tuple[str, ...]], steps: list[str]) -> None:
    folder = root()
    folder.mkdir()
    tree(folder, paths)
    pattern = "/".join(steps).lstrip("/") or "*"
    expected = slow(folder, pattern)
    if not expected:
        with pytest.raises(SourceError, match="nothing of a kind that is read matches"):
            Source.of(f"{folder}/{pattern}")
        return
    source = Source.of(f"{folder}/{pattern}")
    assert [os.path.normpath(item.name) for item in source.items()] == expected
    assert source.count() == len(expected)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.sampled_from(NAMES[:4] + NAMES[4:9]), min_size=1, max_size=4).map(tuple), max_size=12))
def test_behind_a_url_it_finds_the_same(root: Any, paths: list[tuple[str, ...]]) -> None:
    folder = root()
    folder.mkdir()
    system = fsspec.filesystem("memory")
    for file in tree(folder, paths):
        system.touch(f"memory:/{file}")
    for pattern in ("**/*.jpg", "*", "*/*"):
        expected = slow(folder, pattern)
        if expected:
            found = [item.name for item in Source.of(f"memory:/{folder}/{pattern}").items()]
            assert found == [f"memory:/{path}" for path in expected]
    if system.exists(f"memory:/{folder}"):
        system.rm(f"memory:/{folder}", recursive=True)


def test_shards_and_pictures_of_one_glob(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.jpg").touch()
    (tmp_path / "inner" / "other.txt").write_text("d.jpg\n")
    names = [Path(item.name).name for item in Source.of(f"{tmp_path}/**").items()]
    assert names == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert Source.of(f"{tmp_path}/**").count() == 4
    assert [Path(item.name).name for item in Source.of(f"{tmp_path}/*").items()] == ["a.jpg", "b.jpg", "c.jpg"]


def test_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    for name in ("a/1.jpg", "2.jpg"):
        Path(name).touch()
    assert [item.name for item in Source.of("**/*.jpg").items()] == ["2.jpg", "a/1.jpg"]
    assert [item.name for item in Source.of("./*.jpg").items()] == ["./2.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.jpg", "1.jpg"),
        ("**", "1.jpg"),
        ("**/*", "1.jpg"),
        ("*/*.jpg", "again/1.jpg"),
        ("again/*/*.jpg", "again/again/1.jpg"),
    ],
)
def test_a_link_back_is_not_followed_at_any_depth(pattern: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert [item.name for item in Source.of(f"{tmp_path}/{pattern}").items()] == [f"{tmp_path}/{expected}"]


def test_a_folder_that_cannot_be_listed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    read, broken = Source.of(f"{tmp_path}/*/*.jpg").items()
    assert read.name == f"{tmp_path}/a/1.jpg"
    with pytest.raises(ImageError, match="permission denied"):
        broken.read()


class _Entry:
    def __init__(self, name: str, inner: bool) -> None:
        self.name, self._inner = name, inner

    def is_dir(self) -> bool:
        return self._inner


class _Disk:
    """A disk of a thousand folders of two thousand pictures each, none of which are there."""

    def __init__(self) -> None:
        self.listed = 0

    def __call__(self, path: str) -> Any:
        self.listed += 1
        inner = Path(path).name == "endless"
        return _Listing(_Entry(f"{number:04}" if inner else f"{number:04}.jpg", inner) for number in range(2000))


class _Listing:
    def __init__(self, entries: Iterator[_Entry]) -> None:
        self._entries = entries

    def __enter__(self) -> Iterator[_Entry]:
        return self._entries

    def __exit__(self, *_: object) -> None:
        return


@pytest.mark.parametrize("pattern", ["", "/**/*.jpg", "/*/*[02468].jpg", "/**"])
def test_four_million_names_are_never_listed(pattern: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = _Disk()
    (tmp_path / "endless").mkdir()
    source = Source((f"{tmp_path}/endless{pattern}",))
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", disk)
        tracemalloc.start()
        first = sum(1 for _ in islice(source.items(), 20_000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert first == 20_000
    assert disk.listed <= 22
    assert peak < 1.5e6
