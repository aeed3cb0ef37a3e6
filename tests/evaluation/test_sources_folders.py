"""Folders of pictures, and folders per class."""

from __future__ import annotations

import errno
import pickle
from typing import TYPE_CHECKING

import pytest
from tiny_pictures import put, puts

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.sample import Sample
from onnx_reciprocam.evaluation.sources import read_source

if TYPE_CHECKING:
    from pathlib import Path

WNIDS = ("n01440764", "n01443537", "n01484850")


def labels_by_name(samples: list[Sample]) -> dict[str, int | None]:
    return {sample.path.name: sample.label for sample in samples}


def test_pictures_without_labels_in_order(tmp_path: Path) -> None:
    c, a, b, d = puts(tmp_path, "c.JPG", "a.png", "b.jpeg", "d.WebP")
    for other in ("notes.txt", "e.bmp", "._a.png", ".hidden.png"):
        (tmp_path / other).write_bytes(b"")
    assert read_source(tmp_path) == [Sample(a), Sample(b), Sample(c), Sample(d)]


@pytest.mark.parametrize("where", ["pictures/masks", "masks"])
def test_masks_within_and_beside(tmp_path: Path, where: str) -> None:
    a, b = puts(tmp_path / "pictures", "a.jpg", "b.png")
    mask = put(tmp_path / where / "a.png")
    assert read_source(tmp_path / "pictures") == [Sample(a, mask=mask), Sample(b)]


def test_masks_beside_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "pictures" / "a.jpg")
    mask = put(tmp_path / "masks" / "a.png")
    monkeypatch.chdir(tmp_path / "pictures")
    (sample,) = read_source((tmp_path / "pictures").relative_to(tmp_path / "pictures"))
    assert sample.mask == mask


def test_a_folder_called_masks_is_a_folder_of_pictures_too(tmp_path: Path) -> None:
    a = put(tmp_path / "masks" / "a.png")
    assert read_source(tmp_path / "masks") == [Sample(a)]


@pytest.mark.parametrize("mask", ["cat/masks/a.png", "masks/cat/a.png", "../masks/cat/a.png"])
def test_masks_of_class_folders(tmp_path: Path, mask: str) -> None:
    source = tmp_path / "data"
    a, b = puts(source, "cat/a.jpg", "dog/a.jpg")
    put(source / mask)
    samples = read_source(source, labels=["cat", "dog"])
    assert [(sample.path, sample.label) for sample in samples] == [(a, 0), (b, 1)]
    assert samples[0].mask is not None
    assert samples[0].mask.samefile(source / mask)
    assert samples[1].mask is None


def test_masks_of_other_names_are_refused(tmp_path: Path) -> None:
    puts(tmp_path, "a.jpg", "masks/a_mask.png")
    with pytest.raises(SourceError, match=r"masks: no picture's mask is in it; name masks like '.*a\.png'"):
        read_source(tmp_path)


def test_folders_called_by_number(tmp_path: Path) -> None:
    puts(tmp_path, "7/a.png", "007/b.png", "12/c.png")
    assert labels_by_name(read_source(tmp_path, labels=["x"] * 20)) == {"a.png": 7, "b.png": 7, "c.png": 12}


def test_folders_called_by_label(tmp_path: Path) -> None:
    puts(tmp_path, "Hot_Dog/a.png", "cat/b.png", "great white shark/deep/er/c.png", "n01440764/d.png")
    labels = ["cat", "hotdog", "white shark, Great White  Shark, man-eater", "n01440764 tench, Tinca tinca", "dog"]
    assert labels_by_name(read_source(tmp_path, labels=labels)) == {"a.png": 1, "b.png": 0, "c.png": 2, "d.png": 3}


def test_an_accent_spelled_apart_as_macos_does(tmp_path: Path) -> None:
    put(tmp_path / "cafe\u0301" / "a.png")
    assert labels_by_name(read_source(tmp_path, labels=["tea", "caf\u00e9"])) == {"a.png": 1}


def test_an_exact_label_wins_over_a_similar_one(tmp_path: Path) -> None:
    puts(tmp_path, "hot dog/a.png", "Crane/b.png")
    labels = ["hotdog", "hot dog", "crane", "heron, crane"]
    assert labels_by_name(read_source(tmp_path, labels=labels)) == {"a.png": 1, "b.png": 2}


def test_a_label_that_stands_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "crane" / "a.png")
    with pytest.raises(SourceError, match="'crane' is the name of classes 0, 2; write the class number instead"):
        read_source(tmp_path, labels=["crane", "maillot", "crane"])


@pytest.mark.parametrize("labels", [(), ("tench", "goldfish", "shark")])
def test_as_many_folders_as_classes_are_in_order(tmp_path: Path, labels: tuple[str, ...]) -> None:
    puts(tmp_path, *(f"{wnid}/{wnid}_1.JPEG" for wnid in reversed(WNIDS)))
    samples = read_source(tmp_path, labels=labels, classes=3)
    assert [(sample.path.parent.name, sample.label) for sample in samples] == [*zip(WNIDS, range(3), strict=True)]


def test_an_empty_folder_keeps_its_place(tmp_path: Path) -> None:
    put(tmp_path / WNIDS[2] / "a.JPEG")
    for wnid in WNIDS:
        (tmp_path / wnid).mkdir(exist_ok=True)
    assert labels_by_name(read_source(tmp_path, classes=3)) == {"a.JPEG": 2}


def test_unknown_folder_names(tmp_path: Path) -> None:
    puts(tmp_path, "kat/a.png", "cat/b.png")
    way_out = "give --labels FILE with these names, name the folders by class number, or list the pictures in a CSV"
    with pytest.raises(SourceError, match=f"'cat' is a class name, but .*not known.* 2 folders for 9 .*; {way_out}"):
        read_source(tmp_path, classes=9)
    with pytest.raises(SourceError, match=rf"none of the 2 labels is 'kat' \(did you mean 'cat'\?\); {way_out}"):
        read_source(tmp_path, labels=["cat", "dog"])
    with pytest.raises(SourceError, match=r"none of the 1 labels is 'cat' \(and 1 more\)"):
        read_source(tmp_path, labels=["horse"])


def test_some_labels_that_fit_forbid_counting(tmp_path: Path) -> None:
    puts(tmp_path, "kitty/a.png", "cat/b.png")
    with pytest.raises(SourceError, match="none of the 2 labels is 'kitty'"):
        read_source(tmp_path, labels=["cat", "dog"], classes=2)


def test_a_number_above_the_classes(tmp_path: Path) -> None:
    put(tmp_path / "3" / "a.png")
    with pytest.raises(SourceError, match="class 3 is not among the network's 3, 0 to 2"):
        read_source(tmp_path, classes=3)
    with pytest.raises(SourceError, match="class 3 is not among the network's 2, 0 to 1"):
        read_source(tmp_path, labels=["a", "b"])


def test_a_label_above_the_classes(tmp_path: Path) -> None:
    put(tmp_path / "c" / "a.png")
    with pytest.raises(SourceError, match="'c' is class 2, which is not among the network's 2, 0 to 1"):
        read_source(tmp_path, labels=["a", "b", "c"], classes=2)


def test_links_are_what_they_point_to(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a.png")
    source = tmp_path / "data"
    (source / "5").mkdir(parents=True)
    (source / "6").symlink_to(tmp_path / "elsewhere")
    (source / "5" / "b.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (source / "5" / "loop").symlink_to(source / "5")
    assert read_source(source) == [Sample(source / "5" / "b.png", 5), Sample(source / "6" / "a.png", 6)]


def test_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(SourceError, match=r"a.png: it is a broken link"):
        read_source(tmp_path)


def test_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    puts(tmp_path, "0/a.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png", "0/.thumbnails/a.png")
    assert labels_by_name(read_source(tmp_path)) == {"a.png": 0}


def test_no_pictures_at_all(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "a.bmp").write_bytes(b"BM")
    with pytest.raises(SourceError, match=r"no .jpg, .jpeg, .png or .webp picture is in it; convert others"):
        read_source(tmp_path)


def test_pictures_beside_folders_of_pictures(tmp_path: Path) -> None:
    puts(tmp_path, "a.png", "cat/b.png")
    with pytest.raises(SourceError, match="it holds pictures as well as folders of pictures; move"):
        read_source(tmp_path)


def test_what_is_no_data_set(tmp_path: Path) -> None:
    picture = put(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"gone: no such file or folder; name a folder of pictures, a folder per"):
        read_source(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"gone.json: no such file or folder"):
        read_source(tmp_path, annotations=tmp_path / "gone.json")
    with pytest.raises(SourceError, match=r"a.png: it is not of a kind that is read; name a folder of pictures"):
        read_source(picture)
    with pytest.raises(SourceError, match=r"a.png: it is no folder, but annotations are named too"):
        read_source(picture, annotations=picture)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.xml", "folder"])
def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).touch()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(SourceError, match=rf"{name}: permission denied; (name|correct)"):
        read_source(tmp_path / name)


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(SourceError("data", "no pictures")))  # noqa: S301
    assert str(error) == "data: no pictures"
