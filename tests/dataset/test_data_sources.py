from __future__ import annotations

import io
import os
import tarfile
import threading
import tracemalloc
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_sets import contents, photos, picture

from onnx_reciprocam.dataset.parts import Work, cut
from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.errors import ImageError, SourceError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILES = contents(8)


def read(source: Any, *, counted: bool = True) -> list[tuple[str, bytes]]:
    """Names and bytes; the count agrees, where it costs no more than the pictures' names."""
    found = Source.of(source)
    items = [(item.name, item.read()) for item in found.items()]
    assert found.count() == (len(items) if counted else None)
    return items


def tar(path: Path, files: Iterable[tuple[str, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_at_any_depth_in_order(tmp_path: Path) -> None:
    for name in (
        "b/2.JPG",
        "b/a/1.png",
        "10.jpeg",
        "9.webp",
        ".hidden.jpg",
        "b/.cache/3.jpg",
        "b/notes.txt",
        "__MACOSX/x.jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    names = [os.path.relpath(name, tmp_path) for name, _ in read(tmp_path)]
    assert names == ["10.jpeg", "9.webp", "b/2.JPG", "b/a/1.png"]


def test_a_link_back_ends(tmp_path: Path) -> None:
    photos(tmp_path / "photos", 2)
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos")
    assert len(read(tmp_path / "photos")) == 2


def test_a_folder_that_cannot_be_listed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path / "photos" / "inner", 2)
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "inner":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (item,) = Source.of(tmp_path / "photos").items()
    assert item.name.endswith("inner")
    with pytest.raises(ImageError, match="permission denied"):
        item.read()


def test_globs_and_several_places(tmp_path: Path) -> None:
    photos(tmp_path / "a", 4)
    photos(tmp_path / "b" / "c", 2)
    assert [Path(name).name for name, _ in read(f"{tmp_path}/a/*[13].jpg")] == ["001.jpg", "003.jpg"]
    assert len(read(f"{tmp_path}/**/*.jpg")) == 6
    assert [Path(name).parent.name for name, _ in read([tmp_path / "b", tmp_path / "a" / "001.jpg"])] == ["c", "c", "a"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].jpg").write_bytes(b"x")
    assert read(tmp_path / "a[1].jpg") == [(str(tmp_path / "a[1].jpg"), b"x")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "\ufeffphotos/000.jpg\r\n\r\n  photos/001.jpg  \r\n{absolute}/photos/002.jpg"),
        ("list.csv", 'label,Path\n1,photos/000.jpg\n2,"photos/001.jpg"\n,\n3,{absolute}/photos/002.jpg\n'),
    ],
)
def test_lists_are_meant_from_their_own_folder(name: str, text: str, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 3)
    (tmp_path / name).write_text(text.format(absolute=tmp_path), newline="")
    expected = [(str(tmp_path / "photos" / each), data) for each, data in contents(3).items()]
    assert read(tmp_path / name) == expected


def test_a_list_names_a_picture_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("gone.jpg\n\0.jpg\n")
    for item, reason in zip(Source.of(tmp_path / "list.txt").items(), ["no such file", "null"], strict=True):
        with pytest.raises(ImageError, match=reason):
            item.read()


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz"])
def test_tar_shards(ending: str, tmp_path: Path) -> None:
    files = [(f"00{i}.jpg", picture(i)) for i in range(3)]
    mixed = [
        each for name, data in files for each in ((name, data), (f"{name[:3]}.cls", b"7"), (f"{name[:3]}.json", b"{}"))
    ]
    path = tar(tmp_path / f"shard.{ending}", mixed, "w" if ending == "tar" else "w:gz")
    assert read(path) == [(f"{path}/{name}", data) for name, data in files]


@pytest.mark.parametrize("size", [1800, 2048, 2500, 3000, 4096])
def test_a_tar_that_is_cut_short_gives_what_it_has(size: int, tmp_path: Path) -> None:
    path = tar(tmp_path / "shard.tar", [(f"00{i}.jpg", picture(i)) for i in range(4)])
    path.write_bytes(path.read_bytes()[:size])
    items = list(Source.of(path).items())
    assert [item.read() for item in items[: size // 2048]] == [picture(i) for i in range(size // 2048)]
    with pytest.raises(ImageError, match=r"ends before it does|damaged from here on|has no end"):
        items[-1].read()


@pytest.mark.parametrize("kind", ["bytes", "struct", "paths"])
def test_parquet(kind: str, tmp_path: Path) -> None:
    photos(tmp_path / "photos", 8)
    data = list(FILES.values())
    columns = {
        "bytes": {"label": pa.array(range(8)), "jpg": pa.array(data)},
        "struct": {"image": pa.array([{"bytes": each, "path": "x"} for each in data])},
        "paths": {"path": pa.array([f"photos/{name}" for name in FILES])},
    }
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns[kind]), path, row_group_size=3)
    items = list(Source.of(path).items())
    assert Source.of(path).count() == 8
    good = [i for i, each in enumerate(data) if each]
    assert [items[i].read() for i in good] == [data[i] for i in good]
    if kind != "paths":
        assert [item.name for item in items] == [f"{path}#{i}" for i in range(8)]


def test_an_empty_cell_is_an_error_of_its_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": pa.array([None, b"", b"x"], pa.binary())}), tmp_path / "data.parquet")
    items = list(Source.of(tmp_path / "data.parquet").items())
    for item in items[:2]:
        with pytest.raises(ImageError, match="the cell is empty"):
            item.read()
    assert items[2].read() == b"x"


@pytest.fixture
def remote() -> Any:
    system = fsspec.filesystem("memory")
    for name, data in contents(3).items():
        system.pipe(f"/set/a/{name}", data)
    system.pipe("/set/list.txt", b"a/001.jpg\nmemory://set/a/000.jpg\n")
    yield "memory://set"
    system.rm("/set", recursive=True)


def test_urls(remote: str, tmp_path: Path) -> None:
    files = list(contents(3).items())
    assert read(remote) == [(f"memory://set/a/{name}", data) for name, data in files]
    assert [data for _, data in read(f"{remote}/a/*1.jpg")] == [files[1][1]]
    assert [data for _, data in read(f"{remote}/list.txt")] == [files[1][1], files[0][1]]
    path = tar(tmp_path / "x.tar", files)
    fsspec.filesystem("memory").pipe("/set/x.tar", path.read_bytes())
    assert [data for _, data in read(f"{remote}/x.tar", counted=False)] == [data for _, data in files]
    assert len(read(f"{remote}/**", counted=False)) == 8


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of a folder, which knows no ranges."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_web(web: str, tmp_path: Path) -> None:
    files = [(name, data) for name, data in contents(3).items() if data]
    photos(tmp_path / "photos", 3)
    (tmp_path / "list.txt").write_text("photos/001.jpg\n")
    tar(tmp_path / "x.tar", files)
    assert read(f"{web}/photos/") == [(f"{web}/photos/{name}", data) for name, data in files]
    assert [data for _, data in read(f"{web}/list.txt?download=true")] == [files[1][1]]
    assert [data for _, data in read(f"{web}/x.tar", counted=False)] == [data for _, data in files]
    with pytest.raises(SourceError, match="there is nothing at this address"):
        Source.of(f"{web}/gone.txt")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere", "no such file or folder; name a folder"),
        ("notes.md", "not of a kind that is read"),
        ("*.gif", "nothing of a kind that is read matches"),
        ("memory://nowhere", "there is nothing at this address"),
        ("nonsense://x", "Protocol not known"),
        ("memory://notes.md", "it is not of a kind that is read"),
    ],
)
def test_what_is_no_source(place: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    fsspec.filesystem("memory").pipe("/notes.md", b"")
    with pytest.raises(SourceError, match=reason):
        Source.of(place if "://" in place else f"{tmp_path}/{place}")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.csv", b"label,file\n1,a.jpg\n", "names no column 'path' but label, file"),
        ("x.csv", b'path\n"a.jpg\n', "is no CSV"),
        ("x.txt", b"\xff\xfe\xfa\n", "not in UTF-8"),
        ("x.tar", b"a text" * 500, "name a tar file"),
        ("x.parquet", b"a text" * 500, "name a Parquet file"),
    ],
)
def test_a_damaged_list_or_shard(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=reason):
        list(Source.of(tmp_path / name).items())


def test_a_parquet_file_without_pictures(tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [1]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="none of its columns \\(label\\) holds pictures"):
        list(Source.of(tmp_path / "x.parquet").items())


def test_ten_million_rows_are_never_listed(tmp_path: Path) -> None:
    line = b"photos/a-picture-with-a-name.jpg\n"
    with (tmp_path / "list.txt").open("wb") as stream:
        for _ in range(100):
            stream.write(line * 100_000)
    tracemalloc.start()
    first = list(islice(Source.of(tmp_path / "list.txt").items(), 1000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(first) == 1000
    assert peak < 5e6


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


class _Source:
    def __init__(self, names: list[str]) -> None:
        self.names = names

    def items(self) -> Any:
        return map(_Named, self.names)


@given(st.lists(st.text(max_size=3), max_size=30), st.integers(1, 7), st.sets(st.integers(0, 9)), st.data())
def test_what_is_left_and_what_is_there_make_up_the_whole(
    names: list[str], size: int, there: set[int], data: st.DataObject
) -> None:
    whole = list(cut(map(_Named, names), size))  # type: ignore[arg-type]
    assert [item.name for part in whole for item in part.items] == names
    done = {part.index: part.digest for part in whole if part.index in there}
    left = list(Work(_Source(names), size, done, "out").parts())  # type: ignore[arg-type]
    assert {part.index for part in left} | set(done) == {part.index for part in whole}
    assert not {part.index for part in left} & set(done)
    if done:
        index = data.draw(st.sampled_from(sorted(done)))
        changed = list(names)
        changed[index * size] += "x"
        with pytest.raises(WriteError, match="others than when it was begun"):
            list(Work(_Source(changed), size, done, "out").parts())  # type: ignore[arg-type]
