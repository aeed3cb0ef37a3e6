"""COCO's annotation files."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.boxes import gather, read_size
from onnx_reciprocam.evaluation.picture_files import find_file

if TYPE_CHECKING:
    from pathlib import Path

    from onnx_reciprocam.evaluation.boxes import Box, Size
    from onnx_reciprocam.evaluation.class_names import ClassNames
    from onnx_reciprocam.evaluation.sample import Sample

Entry = dict[str, Any]
Id = int | str

_NO_COCO = "name COCO's file of instances, or pictures in a CSV"
_REMEDY = "COCO's category numbers are not the network's; give --labels FILE with one category name per line"
_ELSEWHERE = "name the folder of the pictures, and this file as --annotations"


class _Picture(NamedTuple):
    name: str
    size: Size | None


class _Instance(NamedTuple):
    picture: Id
    category: Id
    box: Box


def read_coco(file: Path, folder: Path, names: ClassNames) -> list[Sample]:
    """One sample per picture and category, with the boxes of all its instances, crowds left out.

    A category is the class of its name. Without labels its number is, if the categories are 0 to ``classes - 1``; the
    numbers of COCO itself, 1 to 90 with gaps, are nobody's classes. Segmentation polygons are not read: metrics need
    no more than boxes. Pictures without an instance are left out.

    Args:
        file: JSON with ``images``, ``annotations`` and ``categories``.
        folder: Where ``file_name`` starts.
        names: The network's classes.

    Raises:
        SourceError: It cannot be read, lacks something, a picture is missing, or a category is no class.
    """
    try:
        document = _load(file)
        pictures = _by_id(document, "images", _picture)
        categories = _by_id(document, "categories", lambda entry: _text(entry, "name"))
        instances = [_instance(entry) for entry in _entries(document, "annotations") if not entry.get("iscrowd")]
        _check_known(instances, pictures, categories)
        numbers = _numbers(categories, {instance.category for instance in instances}, names)
        paths = _paths({instance.picture: pictures[instance.picture] for instance in instances}, folder)
        found: dict[tuple[Path, int], list[Box]] = defaultdict(list)
        for instance in instances:
            found[paths[instance.picture], numbers[instance.category]].append(instance.box)
        return gather(found, {path: pictures[key].size for key, path in paths.items()})
    except ValueError as error:
        raise SourceError(str(file), str(error)) from error


def _foreign(reason: str) -> ValueError:
    return ValueError(f"{reason}; {_NO_COCO}")


def _load(file: Path) -> Entry:
    try:
        document = json.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise _foreign(f"{(error.strerror or str(error)).lower()}") from error
    except (ValueError, RecursionError) as error:
        raise _foreign(f"it is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise _foreign("it is no COCO annotation file")
    return document


def _entries(document: Entry, key: str) -> list[Entry]:
    entries = document.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _foreign(f"it has no list {key!r} of objects, so it is no COCO annotation file")
    if not entries:
        raise _foreign(f"its list {key!r} is empty")
    return entries


def _by_id(document: Entry, key: str, read: Any) -> dict[Id, Any]:
    found: dict[Id, Any] = {}
    for entry in _entries(document, key):
        if (number := _id(entry, "id")) in found:
            raise ValueError(f"two of its {key} have the id {number!r}; give each its own")
        found[number] = read(entry)
    return found


def _picture(entry: Entry) -> _Picture:
    return _Picture(_text(entry, "file_name"), read_size(entry.get("width"), entry.get("height")))


def _instance(entry: Entry) -> _Instance:
    try:
        left, top, width, height = map(float, entry["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _foreign(f"annotation {entry.get('id')} has no bbox [left, top, width, height]") from error
    return _Instance(_id(entry, "image_id"), _id(entry, "category_id"), (left, top, left + width, top + height))


def _id(entry: Entry, key: str) -> Id:
    if not isinstance(value := entry.get(key), int | str):
        raise _foreign(f"an entry lacks {key!r}: {_shorten(entry)}")
    return value


def _text(entry: Entry, key: str) -> str:
    if not isinstance(value := entry.get(key), str):
        raise _foreign(f"an entry lacks {key!r}: {_shorten(entry)}")
    return value


def _shorten(entry: Entry) -> str:
    return text if len(text := json.dumps(entry)) <= 80 else f"{text[:77]}..."


def _check_known(instances: list[_Instance], pictures: dict[Id, _Picture], categories: dict[Id, str]) -> None:
    if not instances:
        raise _foreign("it has crowds only, and those are not used")
    for instance in instances:
        if instance.picture not in pictures:
            raise ValueError(f"an annotation is of image {instance.picture!r}, which is not listed; add or remove it")
        if instance.category not in categories:
            raise ValueError(
                f"an annotation is of category {instance.category!r}, which is not listed; add or remove it"
            )


def _numbers(categories: dict[Id, str], used: set[Id], names: ClassNames) -> dict[Id, int]:
    by_name = {name: key for key, name in categories.items()}
    otherwise: dict[str, int] | None = None
    if not names.labels and len(by_name) == names.classes and set(categories) == set(range(names.classes)):
        otherwise = {name: int(key) for name, key in by_name.items()}
    numbers = names.numbers(sorted({categories[key] for key in used}), otherwise, _REMEDY)
    return {key: numbers[categories[key]] for key in used}


def _paths(pictures: dict[Id, _Picture], folder: Path) -> dict[Id, Path]:
    paths: dict[Id, Path] = {}
    for key, picture in pictures.items():
        if (path := find_file(folder, picture.name)) is None:
            raise ValueError(f"no picture {picture.name!r} in {str(folder)!r}; {_ELSEWHERE}")
        paths[key] = path
    if len(seen := set(paths.values())) < len(paths):
        twice = next(path for path in sorted(seen) if list(paths.values()).count(path) > 1)
        raise ValueError(f"two of its images are {str(twice)!r}; remove one")
    return paths
