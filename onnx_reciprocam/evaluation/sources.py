"""Whatever names pictures, as samples: a folder, a CSV, COCO's or VOC's annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.class_names import ClassNames
from onnx_reciprocam.evaluation.coco import read_coco
from onnx_reciprocam.evaluation.folders import read_folder
from onnx_reciprocam.evaluation.picture_files import list_folder, walk
from onnx_reciprocam.evaluation.tables import read_table
from onnx_reciprocam.evaluation.voc import read_voc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnx_reciprocam.evaluation.sample import Sample

_KNOWN = "a folder of pictures, a folder per class, a .csv, COCO's .json, or VOC's .xml or a folder of them"


def read_source(
    source: Path, *, annotations: Path | None = None, labels: Sequence[str] = (), classes: int | None = None
) -> list[Sample]:
    """The pictures of a data set, with what is known of them, sorted by path and class.

    Args:
        source: A folder of pictures, a folder of folders per class, a CSV, COCO's .json, VOC's .xml, a folder of
            those, or a folder with VOC's ``Annotations`` and ``JPEGImages``; the formats are told by
            :func:`~onnx_reciprocam.evaluation.folders.read_folder`,
            :func:`~onnx_reciprocam.evaluation.tables.read_table`, :func:`~onnx_reciprocam.evaluation.coco.read_coco`
            and :func:`~onnx_reciprocam.evaluation.voc.read_voc`. Pictures end in .jpg, .jpeg, .png or .webp.
        annotations: A CSV, COCO's or VOC's annotations of the pictures in the folder ``source``.
        labels: The network's class names, in its order.
        classes: How many classes the network has.

    Returns:
        At least one sample; a picture with several classes is one for each. Pictures that annotations do not mention
        are left out; those whose boxes cannot be used say why. Boxes lie within the picture held upright; segmentation polygons are not read.

    Raises:
        SourceError: The source cannot be read, has no picture, or names a picture or a class that there is not.
    """
    names = ClassNames(labels, classes)
    for path in (source, annotations):
        if path is not None and not path.exists():
            raise SourceError(str(path), f"no such file or folder; name {_KNOWN}")
    if annotations is None:
        samples = _read_folder(source, names) if source.is_dir() else _read_file(source, None, names)
    elif not source.is_dir():
        raise SourceError(str(source), "it is no folder, but annotations are named too; name the pictures' folder")
    else:
        samples = _read_file(annotations, source, names)
    return sorted(samples, key=lambda sample: (sample.path, -1 if sample.label is None else sample.label))


def _read_folder(source: Path, names: ClassNames) -> list[Sample]:
    """Annotations where they stand beside the pictures or alone, as VOC and labelling tools leave them."""
    if (source / "Annotations").is_dir() and (source / "JPEGImages").is_dir():
        return read_voc(source / "Annotations", source / "JPEGImages", names)
    listing = list_folder(source)
    if listing.annotations or (not listing.pictures and _only_annotations(listing.folders)):
        return read_voc(source, None, names)
    return read_folder(source, names)


def _only_annotations(folders: list[Path]) -> bool:
    annotated = False
    for inner in map(walk, folders):
        if inner.pictures:  # Most often in the first folder, so that a large data set is not listed twice.
            return False
        annotated = annotated or bool(inner.annotations)
    return annotated


def _read_file(file: Path, pictures: Path | None, names: ClassNames) -> list[Sample]:
    ending = file.suffix.lower()
    if file.is_dir() or ending == ".xml":
        return read_voc(file, pictures, names)
    if ending == ".csv":
        return read_table(file, pictures or file.parent, names)
    if ending == ".json":
        return read_coco(file, pictures or file.parent, names)
    raise SourceError(str(file), f"it is not of a kind that is read; name {_KNOWN}")
