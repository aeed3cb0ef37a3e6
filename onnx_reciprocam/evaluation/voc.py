"""Pascal VOC's annotation files, which ImageNet's localisation boxes have the form of."""

from __future__ import annotations

# defusedxml would be the usual choice; its last stable release is of 2021. What it guards against needs a DOCTYPE,
# which no annotation has: it is refused below, before an entity is declared.
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.boxes import gather, read_size
from onnx_reciprocam.evaluation.class_names import are_wnids, places
from onnx_reciprocam.evaluation.picture_files import list_folder, walk
from onnx_reciprocam.runtime.images import ENDINGS

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation.boxes import Box, Size
    from onnx_reciprocam.evaluation.class_names import ClassNames
    from onnx_reciprocam.evaluation.sample import Sample

_OTHER_ENDINGS = ENDINGS | {".bmp", ".gif", ".tif", ".tiff"}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_REPAIR = "correct or remove it"
_REMEDY = "give --labels FILE with these names; without it, only ImageNet's wnids of all classes are understood"
_ELSEWHERE = "name the folder of the pictures, and this one as --annotations"


class _Annotation(NamedTuple):
    file: Path
    picture: str
    size: Size | None
    objects: list[tuple[str, Box]]


class _Builder(ET.TreeBuilder):
    """Refuses a document that declares a type, and with it entities that grow or read files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        del pubid, system
        raise ValueError(f"it declares a DOCTYPE {name!r}, which is not read; remove that line")


def read_voc(annotations: Path, pictures: Path | None, names: ClassNames) -> list[Sample]:
    """One sample per picture and class, with the boxes of all its objects.

    Classes are those of the names; where no name is a label, ImageNet's wnids are the classes in sorted order if there
    are as many as classes. Corners are taken as they stand: VOC's count from 1, ImageNet's from 0, one pixel apart.
    The picture is ``filename``, with or without its ending, or else called like its .xml.

    Args:
        annotations: One .xml, or a folder of them at any depth.
        pictures: Their folder; None: the annotations' own, or ``JPEGImages`` or ``images`` beside it.
        names: The network's classes.

    Raises:
        SourceError: A file cannot be read or lacks something, a picture is missing or has two, a name is no class.
    """
    folder = annotations if annotations.is_dir() else annotations.parent
    files = walk(annotations).annotations if annotations.is_dir() else [annotations]
    if not files:
        raise SourceError(str(annotations), "no .xml is in it; name the folder of the annotations")
    read = [annotation for file in files if (annotation := _parse(file)).objects]
    if not read:
        raise SourceError(str(annotations), "not one object is annotated in it; name the folder of the annotations")
    try:
        used = {name for annotation in read for name, _ in annotation.objects}
        order = places(used, names.classes) if are_wnids(used) else None
        numbers = names.numbers(sorted(used), order, _REMEDY)
        return gather(*_match(read, _Pictures(folder, pictures, deep=annotations.is_dir()), numbers))
    except ValueError as error:
        raise SourceError(str(annotations), str(error)) from error


def _match(
    read: list[_Annotation], pictures: _Pictures, numbers: dict[str, int]
) -> tuple[dict[tuple[Path, int], list[Box]], dict[Path, Size | None]]:
    found: dict[tuple[Path, int], list[Box]] = defaultdict(list)
    files: dict[Path, Path] = {}
    sizes: dict[Path, Size | None] = {}
    for annotation in read:
        path = pictures.of(annotation)
        if (first := files.setdefault(path, annotation.file)) != annotation.file:
            raise ValueError(f"both {first.name!r} and {annotation.file.name!r} are of {str(path)!r}; remove one")
        sizes[path] = annotation.size
        for name, box in annotation.objects:
            found[path, numbers[name]].append(box)
    return found, sizes


class _Pictures:
    """Pictures by name, with and without ending.

    Args:
        folder: That of the annotations.
        pictures: The pictures' folder, if it is named.
        deep: Whether ``folder`` is known to be a data set, and so is searched with all its folders.
    """

    def __init__(self, folder: Path, pictures: Path | None, *, deep: bool) -> None:
        self.folder = folder
        beside = [folder.parent / name for name in ("JPEGImages", "images")]
        self.root = folder
        found: list[Path] = []
        for self.root in [pictures] if pictures else [folder, *filter(Path.is_dir, beside)]:
            look = walk if deep or self.root != folder else list_folder
            if found := look(self.root).pictures:
                break
        self._named: dict[str, list[Path]] = defaultdict(list)
        for path in found:
            for name in (path.name, path.stem):
                self._named[name].append(path)

    def of(self, annotation: _Annotation) -> Path:
        """The annotated picture; of several that are called so, the one in the annotation's own folder."""
        name = PurePosixPath(annotation.picture.replace("\\", "/"))
        stem = name.stem if name.suffix.lower() in _OTHER_ENDINGS else name.name
        for called in (name.name, stem, annotation.file.stem):
            found = self._named.get(called, [])
            place = annotation.file.parent.relative_to(self.folder)
            if near := [path for path in found if path.parent.relative_to(self.root) == place]:
                found = near
            if len(found) > 1:
                two = f"both {str(found[0])!r} and {str(found[1])!r}"
                raise ValueError(f"{annotation.file.name!r} may be of {two}; name the picture with its ending")
            if found:
                return found[0]
        raise ValueError(f"no picture {annotation.picture!r} of {annotation.file.name!r} is there; {_ELSEWHERE}")


def _parse(file: Path) -> _Annotation:
    try:
        parser = ET.XMLParser(target=_Builder())  # noqa: S314 - see the import
        parser.feed(file.read_bytes())
        root = parser.close()
        return _annotation(file, root)
    except OSError as error:
        raise SourceError(str(file), f"{(error.strerror or str(error)).lower()}; {_REPAIR}") from error
    except (ET.ParseError, LookupError) as error:
        raise SourceError(str(file), f"it is no XML ({error}); {_REPAIR}") from error
    except ValueError as error:
        raise SourceError(str(file), str(error)) from error


def _annotation(file: Path, root: ET.Element) -> _Annotation:
    if root.tag != "annotation":
        raise ValueError(f"it is no VOC annotation but {root.tag!r}; {_REPAIR}")
    size = read_size(root.findtext("size/width"), root.findtext("size/height"))
    return _Annotation(file, (root.findtext("filename") or "").strip(), size, [*map(_object, root.findall("object"))])


def _object(element: ET.Element) -> tuple[str, Box]:
    name = (element.findtext("name") or "").strip()
    read = [_number(element.findtext(f"bndbox/{corner}")) for corner in _CORNERS]
    corners = [corner for corner in read if corner is not None]
    if not name or len(corners) < 4:
        raise ValueError(f"an object lacks its name or a number of its bndbox; {_REPAIR}")
    left, top, right, bottom = corners
    return name, (left, top, right, bottom)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
