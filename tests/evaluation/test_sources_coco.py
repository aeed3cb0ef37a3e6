"""COCO's annotation files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pictures import HEIGHT, WIDTH, boxes, file_names, put, puts

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.sample import Sample
from onnx_reciprocam.evaluation.sources import read_source

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation.boxes import Box

LABELS = ("background", "Dining Table", "cat")


def document() -> dict[str, Any]:
    """Two pictures, a cat and two tables on the first, a cat and a crowd on the second."""
    return {
        "images": [
            {"id": 9, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
            {"id": 4, "file_name": "sub/a.png"},
            {"id": 5, "file_name": "unannotated and not there.png"},
        ],
        "categories": [{"id": 67, "name": "diningtable"}, {"id": 17, "name": "cat"}, {"id": 90, "name": "unused"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 67, "bbox": [30, 1, 10, 10], "segmentation": [[1, 2, 3, 4, 5, 6]]},
            {"id": 2, "image_id": 9, "category_id": 17, "bbox": [0, 1, 2.5, 3], "iscrowd": 0},
            {"id": 3, "image_id": 9, "category_id": 67, "bbox": [5, 6, 7, 8]},
            {"id": 4, "image_id": 4, "category_id": 17, "bbox": [0, 0, 64, 48]},
            {"id": 5, "image_id": 4, "category_id": 67, "bbox": [0, 0, 64, 48], "iscrowd": 1},
        ],
    }


def write(folder: Path, content: object) -> Path:
    (path := folder / "coco.json").write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    puts(tmp_path, "b.png", "sub/a.png")
    return tmp_path


def wanted(folder: Path) -> list[Sample]:
    return [
        Sample(folder / "b.png", 1, ((30, 1, 40, 11), (5, 6, 12, 14))),
        Sample(folder / "b.png", 2, ((0, 1, 2.5, 4),)),
        Sample(folder / "sub" / "a.png", 2, ((0, 0, 64, 48),)),
    ]


def test_one_sample_per_picture_and_category(folder: Path) -> None:
    assert read_source(write(folder, document()), labels=LABELS) == wanted(folder)


def test_pictures_in_a_named_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = write(tmp_path_factory.mktemp("annotations"), document())
    assert read_source(folder, annotations=file, labels=LABELS) == wanted(folder)
    with pytest.raises(
        SourceError, match=r"no picture 'b.png' in '.*'; name the folder of the pictures, and this file"
    ):
        read_source(file, labels=LABELS)


def test_categories_that_are_the_classes_need_no_labels(folder: Path) -> None:
    content = document()
    content["categories"] = [{"id": place, "name": name} for place, name in enumerate("abc")]
    for annotation in content["annotations"]:
        annotation["category_id"] = 2
    assert {sample.label for sample in read_source(write(folder, content), classes=3)} == {2}
    with pytest.raises(SourceError, match="'c' is a class name, but the network's are not known"):
        read_source(write(folder, content), classes=4)
    with pytest.raises(SourceError, match="none of the 3 labels is 'c'"):
        read_source(write(folder, content), labels=["x", "y", "z"], classes=3)


def test_categories_called_by_number(folder: Path) -> None:
    content = document()
    content["categories"] = [{"id": 67, "name": "0"}, {"id": 17, "name": "8"}]
    assert [sample.label for sample in read_source(write(folder, content))] == [0, 8, 8]


def test_categories_of_one_class_are_one_sample(folder: Path) -> None:
    content = document()
    content["categories"] = [{"id": 67, "name": "CAT"}, {"id": 17, "name": "cat"}]
    assert [len(sample.boxes) for sample in read_source(write(folder, content), labels=LABELS)] == [3, 1]


def test_numbers_of_coco_are_no_classes(folder: Path) -> None:
    words = "'cat' is a class name, but .*; COCO's category numbers are not the network's; give --labels FILE"
    with pytest.raises(SourceError, match=words):
        read_source(write(folder, document()), classes=1000)
    with pytest.raises(SourceError, match="none of the 2 labels is 'diningtable'"):
        read_source(write(folder, document()), labels=["cat", "table"])


def test_a_picture_resized_since_it_was_annotated(folder: Path) -> None:
    put(folder / "b.png", WIDTH // 2, HEIGHT // 2)
    assert read_source(write(folder, document()), labels=LABELS)[0].boxes == ((15, 0.5, 20, 5.5), (2.5, 3, 6, 7))


def test_another_picture_than_was_annotated(folder: Path) -> None:
    put(folder / "b.png", HEIGHT, WIDTH)
    first, *others = read_source(write(folder, document()), labels=LABELS)
    assert first.problem.startswith("its boxes are of a 64x48 picture, but it is 48x64 when held upright")
    assert any(sample.boxes for sample in others)


def test_a_picture_that_is_none(folder: Path) -> None:
    (folder / "b.png").write_bytes(b"")
    problems = {sample.path.name: sample.problem for sample in read_source(write(folder, document()), labels=LABELS)}
    assert problems == {"b.png": "not a JPEG, PNG or WebP picture", "a.png": ""}


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([65, 0, 5, 5], "box 65,0,70,5 is outside of the 64x48 picture; correct or remove it"),
        ([6, 0, 0, 5], "box 6,0,6,5 is empty: right has to exceed left, and bottom top; correct or remove it"),
        ([6, 0, -1, 5], "box 6,0,5,5 is empty: right has to exceed left, and bottom top; correct or remove it"),
        ([6, 0, float("inf"), 5], "box 6,0,inf,5 is not finite; correct or remove it"),
    ],
    ids=str,
)
def test_a_box_that_cannot_be_used_is_its_pictures_problem(folder: Path, box: list[float], words: str) -> None:
    content = document()
    content["annotations"][0]["bbox"] = box
    samples = read_source(write(folder, content), labels=LABELS)
    assert [sample.problem for sample in samples if sample.problem] == [words]
    assert all(sample.boxes for sample in samples if not sample.problem)


CHANGES: dict[str, tuple[str, int | None, dict[str, Any], str]] = {
    "box vast": ("annotations", 0, {"bbox": [6, 0, 10**400, 5]}, "annotation 1 has no bbox"),
    "box short": ("annotations", 0, {"bbox": [6, 0, 5]}, r"annotation 1 has no bbox \[left, top, width, height\]"),
    "box missing": ("annotations", 0, {"bbox": None}, "annotation 1 has no bbox"),
    "image unknown": ("annotations", 0, {"image_id": 77}, "is of image 77, which is not listed; add or remove it"),
    "image unnamed": ("annotations", 0, {"image_id": None}, "an entry lacks 'image_id': {.*"),
    "category unknown": ("annotations", 0, {"category_id": 77}, "is of category 77, which is not listed"),
    "file missing": ("images", 0, {"file_name": "c.png"}, "no picture 'c.png' in"),
    "file unnamed": ("images", 0, {"file_name": None}, "an entry lacks 'file_name'"),
    "file twice": ("images", 0, {"file_name": "sub/a.png"}, "two of its images are '.*a.png'; remove one"),
    "id twice": ("images", 0, {"id": 4}, "two of its images have the id 4; give each its own"),
    "nameless": ("categories", 0, {"name": 3}, "an entry lacks 'name'"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_entries_that_cannot_be_used(folder: Path, case: str) -> None:
    key, place, change, words = CHANGES[case]
    content = document()
    content[key][place].update(change)
    with pytest.raises(SourceError, match=words) as caught:
        read_source(write(folder, content), labels=LABELS)
    assert str(caught.value).startswith(str(folder / "coco.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", r"coco.json: it is no JSON \(.*\); name COCO's file of instances, or pictures in a CSV"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", "it is no COCO annotation file"),
        ("{}", "it has no list 'images' of objects"),
        ({**document(), "annotations": [3]}, "it has no list 'annotations' of objects"),
        ({**document(), "annotations": []}, "its list 'annotations' is empty"),
        ({**document(), "annotations": document()["annotations"][4:]}, "it has crowds only"),
    ],
    ids=["cut", "deep", "a list", "empty", "no objects", "no annotations", "crowds"],
)
def test_files_that_are_not_coco(folder: Path, content: object, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read_source(write(folder, content), labels=LABELS)


def test_bytes_that_are_no_text(folder: Path) -> None:
    (path := folder / "coco.json").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(SourceError, match="it is no JSON"):
        read_source(path)


found = st.dictionaries(st.integers(0, 2), st.lists(boxes(), min_size=1, max_size=3).map(tuple), min_size=1)


@given(pictures=st.dictionaries(file_names, found, min_size=1, max_size=4), first=st.integers(0, 50))
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_what_is_written_is_read_back(pictures: dict[str, dict[int, tuple[Box, ...]]], first: int) -> None:
    content: dict[str, Any] = {"images": [], "annotations": []}
    content["categories"] = [{"id": first + place, "name": name} for place, name in enumerate(LABELS)]
    for number, (name, classes) in enumerate(pictures.items(), first):
        content["images"].append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for label, of_class in classes.items():
            for left, top, right, bottom in of_class:
                entry = {
                    "image_id": number,
                    "category_id": first + label,
                    "bbox": [left, top, right - left, bottom - top],
                }
                content["annotations"].append(entry)
    with tempfile.TemporaryDirectory() as place:
        samples = [
            Sample(put(Path(place) / name), label, of_class)
            for name, classes in pictures.items()
            for label, of_class in classes.items()
        ]
        read = read_source(write(Path(place), content), labels=LABELS)
        assert read == sorted(samples, key=lambda sample: (sample.path, sample.label))
