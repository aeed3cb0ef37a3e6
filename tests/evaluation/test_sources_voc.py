"""VOC's annotation files, and ImageNet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tiny_pictures import put, puts

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.sample import Sample
from onnx_reciprocam.evaluation.sources import read_source

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("cat", "dining table")
SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def thing(name: str, *corners: object) -> str:
    sides = ("xmax", "xmin", "ymax", "ymin")  # in the order of VOC 2011, which is not left, top, right, bottom
    left, top, right, bottom = corners or (1, 2, 30, 40)
    tags = "".join(f"<{side}>{at}</{side}>" for side, at in zip(sides, (right, left, bottom, top), strict=True))
    part = "<part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>"
    return f"<object><name>{name}</name><difficult>0</difficult>{part}<bndbox>{tags}</bndbox></object>"


def annotate(path: Path, picture: str, *things: str, size: str = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{picture}</filename>{size}{''.join(things)}</annotation>", "utf-8")
    return path


def test_the_folders_of_voc(tmp_path: Path) -> None:
    annotations, (a, b) = tmp_path / "Annotations", puts(tmp_path / "JPEGImages", "a.jpg", "b.jpg")
    annotate(annotations / "a.xml", "a.jpg", thing("diningtable", 1, 2, 3, 4), thing("cat"), thing("diningtable"))
    file = annotate(annotations / "b.xml", "b.jpg", thing("cat", 1.5, 2, 3, 4))
    put(tmp_path / "SegmentationClass" / "a.png")
    first = [Sample(a, 0, ((1, 2, 30, 40),)), Sample(a, 1, ((1, 2, 3, 4), (1, 2, 30, 40)))]
    second = Sample(b, 0, ((1.5, 2, 3, 4),))
    assert read_source(tmp_path, labels=LABELS) == [*first, second]
    assert read_source(annotations, labels=LABELS) == [*first, second]
    assert read_source(tmp_path / "JPEGImages", annotations=annotations, labels=LABELS) == [*first, second]
    assert read_source(tmp_path / "JPEGImages", annotations=file, labels=LABELS) == [second]
    assert read_source(file, labels=LABELS) == [second]


def test_annotations_beside_their_pictures(tmp_path: Path) -> None:
    a, _, c = puts(tmp_path, "a.jpg", "b.jpg", "c.png")
    annotate(tmp_path / "a.xml", r"C:\data\a.bmp", thing("cat"))
    annotate(tmp_path / "b.xml", "b.jpg")  # nothing on it
    annotate(tmp_path / "c.XML", "renamed.jpg", thing("cat"), size="<size><width>0</width><height>0</height></size>")
    box = ((1, 2, 30, 40),)
    assert read_source(tmp_path, labels=LABELS) == [Sample(a, 0, box), Sample(c, 0, box)]


@pytest.mark.parametrize("filename", ["n01440764_10026", "%s", ""])
def test_the_folders_of_imagenet(tmp_path: Path, filename: str) -> None:
    pictures = puts(tmp_path / "Data", "n01440764/n01440764_10026.JPEG", "n01443537/n01440764_10026.JPEG")
    for picture in pictures:
        wnid = picture.parent.name
        annotate(tmp_path / "Boxes" / wnid / "n01440764_10026.xml", filename, thing(wnid))
    read = read_source(tmp_path / "Data", annotations=tmp_path / "Boxes", classes=2, labels=("tench", "goldfish"))
    assert read == [Sample(picture, label, ((1, 2, 30, 40),)) for label, picture in enumerate(pictures)]


def test_a_folder_of_folders_of_annotations(tmp_path: Path) -> None:
    annotate(tmp_path / "Annotations" / "train" / "a.xml", "a.jpg", thing("0"))
    picture = put(tmp_path / "images" / "a.jpg")
    assert read_source(tmp_path / "Annotations") == [Sample(picture, 0, ((1, 2, 30, 40),))]


def test_wnids_of_some_classes_say_nothing(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "a.xml", "a.jpg", thing("n01440764"))
    with pytest.raises(SourceError, match=r"'n01440764' is a class name, but .*only ImageNet's wnids of all classes"):
        read_source(tmp_path, classes=1000)
    assert read_source(tmp_path, classes=1000, labels=["goldfish", "n01440764 tench"])[0].label == 1


def test_names_that_are_no_wnids_are_not_counted(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "a.xml", "a.jpg", thing("cat"), thing("dog"))
    with pytest.raises(SourceError, match=r"'cat' is a class name, .* \(and 1 more\); give --labels FILE with"):
        read_source(tmp_path, classes=2)
    with pytest.raises(SourceError, match="none of the 2 labels is 'dog'"):
        read_source(tmp_path, classes=2, labels=LABELS)


def test_an_exact_name_wins(tmp_path: Path) -> None:
    _, png = puts(tmp_path, "a.jpg", "a.png")
    annotate(tmp_path / "a.xml", "a.png", thing("cat"))
    assert [sample.path for sample in read_source(tmp_path, labels=LABELS)] == [png]
    annotate(tmp_path / "a.xml", "a", thing("cat"))
    with pytest.raises(SourceError, match=r"'a.xml' may be of both '.*a.jpg' and '.*a.png'; name the picture with its"):
        read_source(tmp_path, labels=LABELS)


def test_pictures_that_are_missing_or_named_twice(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "b.xml", "b.jpg", thing("cat"))
    with pytest.raises(SourceError, match=r"no picture 'b.jpg' of 'b.xml' is there; name the folder of the pictures"):
        read_source(tmp_path, labels=LABELS)
    annotate(tmp_path / "b.xml", "a.jpg", thing("cat"))
    annotate(tmp_path / "a.xml", "a.jpg", thing("cat"))
    with pytest.raises(SourceError, match=r"both 'a.xml' and 'b.xml' are of '.*a.jpg'; remove one"):
        read_source(tmp_path, labels=LABELS)


UNUSABLE = {
    (64, 0, 70, 9): "box 64,0,70,9 is outside of the 64x48 picture; correct or remove it",
    (9, 0, 5, 9): "box 9,0,5,9 is empty",
    (9, 0, "nan", 9): "box 9,0,nan,9 is not finite",
}


@pytest.mark.parametrize(("corners", "words"), UNUSABLE.items(), ids=str)
def test_a_box_that_cannot_be_used_is_its_pictures_problem(
    tmp_path: Path, corners: tuple[object, ...], words: str
) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "a.xml", "a.jpg", thing("cat", *corners))
    (sample,) = read_source(tmp_path, labels=LABELS)
    assert sample.problem.startswith(words)
    assert not sample.boxes


UNREADABLE = {
    (9, 0, "x", 9): r"a.xml: an object lacks its name or a number of its bndbox; correct or remove it",
    (9, 0, "", 9): "an object lacks its name or a number of its bndbox",
}


@pytest.mark.parametrize(("corners", "words"), UNREADABLE.items(), ids=str)
def test_boxes_that_cannot_be_read(tmp_path: Path, corners: tuple[object, ...], words: str) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "a.xml", "a.jpg", thing("cat", *corners))
    with pytest.raises(SourceError, match=words):
        read_source(tmp_path, labels=LABELS)


@pytest.mark.parametrize("size", ["inf", "nan", "-64", "x"])
def test_a_size_that_is_none_is_not_used(tmp_path: Path, size: str) -> None:
    put(tmp_path / "a.jpg")
    annotate(tmp_path / "a.xml", "a.jpg", thing("0"), size=SIZE.replace("64", size))
    assert read_source(tmp_path)[0].boxes == ((1, 2, 30, 40),)


BOMB = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation><object/>&c;</annotation>'
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is no XML"),
        (b"<annotation>", r"a.xml: it is no XML \(.*\); correct or remove it"),
        (b"\xff\xd8", "it is no XML"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "it is no XML"),
        (b"<html/>", "it is no VOC annotation but 'html'; correct or remove it"),
        (b"<annotation/>", "not one object is annotated in it; name the folder of the annotations"),
        (b"<annotation><object/></annotation>", "an object lacks its name"),
        (BOMB.encode(), "it declares a DOCTYPE 'a', which is not read; remove that line"),
        (BOMB.encode("utf-16"), "it declares a DOCTYPE 'a', which is not read"),
        (OUTSIDE.encode(), "it declares a DOCTYPE"),
    ],
    ids=["empty", "cut", "a picture", "klingon", "a page", "no object", "bare object", "bomb", "wide bomb", "outside"],
)
def test_files_that_are_not_voc(tmp_path: Path, content: bytes, words: str) -> None:
    put(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        read_source(tmp_path, labels=LABELS)
    assert "\n" not in str(caught.value)


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match=r"no .xml is in it; name the folder of the annotations"):
        read_source(tmp_path, annotations=tmp_path)
