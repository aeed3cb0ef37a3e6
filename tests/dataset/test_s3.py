"""Pictures in a bucket, through s3fs, from a server that speaks S3 and checks keys."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bucket import BUCKET, PAGE, Store, serving
from photo_sets import BAD, COUNT, contents, photos, rows_of
from test_faults import call

from onnx_reciprocam.dataset import batch, read_finished
from onnx_reciprocam.dataset.sources import Source
from onnx_reciprocam.errors import ImageError, MissingPackageError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = f"s3://{BUCKET}"
FILES = contents()
GOOD = {name: data for i, (name, data) in enumerate(FILES.items()) if i not in BAD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with serving(tmp_path_factory.mktemp("store")) as found:
        found.put({f"photos/{name}": data for name, data in FILES.items()})
        found.put({"photos/notes.txt.bak": b"", "photos/.hidden.jpg": b"", "photos/.cache/1.jpg": b"", "photos/": b""})
        found.put({"deep/a/1.jpg": b"1", "deep/a/b/2.png": b"2", "deep/a-b/3.jpg": b"3", "deep/4.jpg": b"4"})
        found.put({"shards/0.tar": _tar(GOOD), "shards/1.tar": _tar(dict(list(GOOD.items())[:3]))})
        found.put({"data.parquet": _parquet(), "list.txt": b"photos/000.jpg\nphotos/gone.jpg\ns3://nowhere/1.jpg\n"})
        yield found


@pytest.fixture
def store(server: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    import s3fs

    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield server
    s3fs.S3FileSystem.clear_instance_cache()


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array([*GOOD.values()])}), stream, row_group_size=4)
    return stream.getvalue()


def names(place: str) -> list[str]:
    return [item.name.removeprefix(f"{ROOT}/") for item in Source.of(place).items()]


@pytest.mark.usefixtures("store")
def test_a_folder_of_a_bucket_is_listed_as_a_local_one() -> None:
    assert names(f"{ROOT}/photos") == names(f"{ROOT}/photos/") == [f"photos/{name}" for name in FILES]
    deep = ["deep/4.jpg", "deep/a/1.jpg", "deep/a/b/2.png", "deep/a-b/3.jpg"]
    assert names(f"{ROOT}/deep") == names(f"{ROOT}/deep/**") == deep
    assert names(f"{ROOT}/deep/*/*.jpg") == ["deep/a/1.jpg", "deep/a-b/3.jpg"]
    assert names(ROOT) == names(f"{ROOT}/") == [*deep, *(f"photos/{name}" for name in FILES)]
    assert Source.of(ROOT).count() == len(deep) + COUNT
    assert names(f"{ROOT}/photos/001.jpg") == ["photos/001.jpg"]


def test_a_folder_of_several_pages(store: Store) -> None:
    with store.requests() as asked:
        assert names(f"{ROOT}/photos") == [f"photos/{name}" for name in FILES]
    listings = [line for line in asked if "list-type=2" in line and "max-keys=1&" not in line]
    assert len(listings) == -(-(COUNT + 4) // PAGE)  # with what is no picture


def test_a_picture_is_one_request(store: Store) -> None:
    items = list(Source.of(f"{ROOT}/photos").items())
    with store.requests() as asked:
        assert [item.read() for item in items] == list(FILES.values())
    assert asked == [f"GET /{BUCKET}/photos/{name}" for name in FILES]


def test_a_member_of_a_tar_shard_is_one_request_for_its_own_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    fetched: list[int] = []
    fetch = s3fs.S3FileSystem._cat_file  # noqa: SLF001 - what it fetches is measured

    async def measured(*arguments: Any, **how: Any) -> bytes:
        data: bytes = await fetch(*arguments, **how)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(s3fs.S3FileSystem, "_cat_file", measured)
    source = Source.of(f"{ROOT}/shards/0.tar")
    items = list(source.items())
    assert [item.name for item in items] == [f"{ROOT}/shards/0.tar/{name}" for name in GOOD]
    assert source.count() is None
    with store.requests() as asked:
        assert [item.read() for item in items] == list(GOOD.values())
    assert fetched == [len(data) for data in GOOD.values()]
    assert len(asked) == len(GOOD)


@pytest.mark.usefixtures("store")
def test_shards_by_a_glob_and_parquet() -> None:
    assert len(names(f"{ROOT}/shards/*.tar")) == len(GOOD) + 3
    source = Source.of(f"{ROOT}/data.parquet")
    assert source.count() == len(GOOD)
    items = list(source.items())
    assert [item.name for item in items] == [f"{ROOT}/data.parquet#{row}" for row in range(len(GOOD))]
    assert [item.read() for item in items] == list(GOOD.values())


@pytest.mark.usefixtures("store")
def test_what_a_list_names_and_is_not_there() -> None:
    there, gone, nowhere = Source.of(f"{ROOT}/list.txt").items()
    assert there.read() == FILES["000.jpg"]
    with pytest.raises(ImageError, match=r"photos/gone\.jpg: no such file"):
        gone.read()
    with pytest.raises(ImageError, match=r"s3://nowhere/1\.jpg: no such file"):
        nowhere.read()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("s3://nowhere", "there is nothing at this address"),
        ("s3://nowhere/*.jpg", "no such file; check the address and the credentials"),
        (f"{ROOT}/nowhere", "there is nothing at this address"),
        (f"{ROOT}/gone.tar", "there is nothing at this address"),
        (f"{ROOT}/photos/*.gif", "nothing of a kind that is read matches"),
        (f"{ROOT}/photos/notes.txt.bak", "it is not of a kind that is read"),
    ],
)
def test_what_is_no_source(place: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        Source.of(place)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("photos", "AWS_ACCESS_KEY_ID"),
        ("photos", "AWS_SECRET_ACCESS_KEY"),
        ("photos/*.jpg", "AWS_SECRET_ACCESS_KEY"),
        ("photos/001.jpg", "AWS_SECRET_ACCESS_KEY"),
        ("list.txt", "AWS_SECRET_ACCESS_KEY"),
        ("", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_key_that_is_refused(place: str, wrong: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(wrong, store.environment[wrong][::-1])
    with pytest.raises(SourceError, match=r"^s3://pictures.*; check the address and the credentials$"):
        Source.of(f"{ROOT}/{place}")


def test_no_key_at_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SourceError, match="unable to locate credentials; check the address and the credentials"):
        Source.of(f"{ROOT}/photos")
    assert store


@pytest.mark.usefixtures("store")
def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceError, match="could not connect to the endpoint url"):
        Source.of(f"{ROOT}/photos")


@pytest.mark.parametrize(("url", "extra"), [("s3://bucket/photos", "s3"), ("gs://bucket/photos", "gcs")])
def test_the_package_is_missing(url: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.core import url_to_fs

    registry = sys.modules["fsspec.registry"]._registry  # noqa: SLF001 - it remembers
    assert url_to_fs
    for name in ("s3fs", "s3fs.core", "gcsfs", "gcsfs.core"):
        monkeypatch.setitem(sys.modules, name, None)
    for scheme in ("s3", "gs", "gcs"):
        monkeypatch.delitem(registry, scheme, raising=False)
    wanted = rf"this needs {extra}fs\. Install it: pip install 'onnx-reciprocam\[{extra}\]'"
    with pytest.raises(MissingPackageError, match=wanted):
        Source.of(url)


@pytest.mark.usefixtures("store")
def test_the_rows_are_those_of_the_local_folder(model: Path, pictures: Path, tmp_path: Path) -> None:
    batch(model, f"{ROOT}/photos", tmp_path / "out", batch_size=4)
    batch(model, pictures, tmp_path / "local", batch_size=4)
    rows, local = rows_of(tmp_path / "out"), rows_of(tmp_path / "local")
    assert [row.pop("path") for row in rows] == [f"{ROOT}/photos/{Path(row.pop('path')).name}" for row in local]
    for row in (*rows, *local):
        del row["settings"]
    assert rows == local


@pytest.mark.usefixtures("store")
def test_a_missing_key_is_a_row(model: Path, tmp_path: Path) -> None:
    tally = batch(model, f"{ROOT}/list.txt", tmp_path / "out")
    assert (tally.done, tally.failed) == (3, 2)
    errors = [row["error"] for row in rows_of(tmp_path / "out")]
    assert errors == [None, "no such file", "no such file"]


@pytest.mark.parametrize("changes", [{"AWS_SECRET_ACCESS_KEY": "wrong"}, {"BUCKET": "nowhere"}], ids=["key", "bucket"])
def test_on_the_command_line_it_is_one_line(
    changes: dict[str, str], model: Path, server: Store, tmp_path: Path
) -> None:
    bucket = changes.get("BUCKET", BUCKET)
    found = subprocess.run(
        call(model, f"s3://{bucket}/photos", tmp_path / "out"),
        env=os.environ | server.environment | changes,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"error: s3://{bucket}/photos: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_and_called_again_it_ends_with_the_rows_of_one_run(model: Path, server: Store, tmp_path: Path) -> None:
    lines = "".join(f"photos/{name}\n" for name in FILES) * 100
    server.put({"long.txt": lines.encode()})
    words = call(model, f"{ROOT}/long.txt", tmp_path / "out")
    environment = os.environ | server.environment
    kills = 0
    for moment in (1, 2, 1, 0):
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        there = len(list((tmp_path / "out" / "rows").glob("part-*")))
        while moment and process.poll() is None:
            if len(list((tmp_path / "out" / "rows").glob("part-*"))) >= there + moment:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.01)
        process.wait()
        assert (read_finished(tmp_path / "out") is not None) is (process.returncode == 0)
    assert kills == 3
    photos(tmp_path / "photos")
    (tmp_path / "long.txt").write_text(lines)
    batch(model, tmp_path / "long.txt", tmp_path / "local", batch_size=4)
    rows, local = (
        [(row["sha256"], row["map"], row["error"]) for row in rows_of(tmp_path / name)] for name in ("out", "local")
    )
    assert len(rows) == 100 * COUNT
    assert rows == local
