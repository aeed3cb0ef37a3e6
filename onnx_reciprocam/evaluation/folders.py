"""A folder of pictures, or of one folder per class."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import SourceError
from onnx_reciprocam.evaluation.class_names import places
from onnx_reciprocam.evaluation.picture_files import MASKS, list_folder, walk
from onnx_reciprocam.evaluation.sample import Sample

if TYPE_CHECKING:
    from onnx_reciprocam.evaluation.class_names import ClassNames

_NO_PICTURES = "no .jpg, .jpeg, .png or .webp picture is in it; convert others, or name another folder"
_BOTH = "it holds pictures as well as folders of pictures; move the ones or the others away"
_REMEDY = "give --labels FILE with these names, name the folders by class number, or list the pictures in a CSV"


def read_folder(source: Path, names: ClassNames) -> list[Sample]:
    """Pictures without labels, or with their folder's (torchvision's ImageFolder, at any depth).

    A folder's class is its name if all are whole numbers; else the label of that name; else, where none is a label and
    there are as many folders as classes, its place in the sorted list. ImageNet's folders mean what they should so.
    The mask of ``A/NAME.jpg`` is ``A/masks/NAME.png``, ``masks/A/NAME.png``, or that in a ``masks`` beside ``source``.

    Raises:
        SourceError: No pictures, pictures beside folders of pictures, folders that stand for no class, or a folder
            ``masks`` with not one mask.
    """
    listing = list_folder(source)
    folders = [folder for folder in listing.folders if folder.name != MASKS]
    filled = {folder.name: pictures for folder in folders if (pictures := walk(folder).pictures)}
    if bool(listing.pictures) == bool(filled):
        raise SourceError(str(source), _BOTH if filled else _NO_PICTURES)
    if not filled:
        return _with_masks(source, [(picture, None) for picture in listing.pictures])
    everywhere = [folder.name for folder in folders]  # An empty folder keeps its class's place.
    order = places(everywhere, names.classes) or places(filled, names.classes)
    try:
        numbers = names.numbers(filled, order, _count(len(everywhere), names) + _REMEDY)
    except ValueError as error:
        raise SourceError(str(source), str(error)) from error
    return _with_masks(source, [(picture, numbers[name]) for name, found in filled.items() for picture in found])


def _count(folders: int, names: ClassNames) -> str:
    """Why the folders' order says nothing."""
    if names.classes is None:
        return ""
    return f"there are {folders} folders for {names.classes} classes, so their order does not tell either; "


def _with_masks(source: Path, pictures: list[tuple[Path, int | None]]) -> list[Sample]:
    inner = source / MASKS
    beside = Path(os.path.normpath(source.absolute())).parent / MASKS
    roots = [root for root in (inner, beside) if root.is_dir() and not root.samefile(source)]
    samples = [Sample(picture, label, mask=_mask(picture, source, roots)) for picture, label in pictures]
    if inner in roots and not any(sample.mask for sample in samples) and walk(inner).pictures:
        example = (inner / pictures[0][0].relative_to(source)).with_suffix(".png")
        raise SourceError(str(inner), f"no picture's mask is in it; name masks like {str(example)!r}, or move it away")
    return samples


def _mask(picture: Path, source: Path, roots: list[Path]) -> Path | None:
    name = picture.relative_to(source)
    own = picture.parent / MASKS / name.name
    candidates = [own, *(root / name for root in roots)] if name.parent.name else [root / name for root in roots]
    return next((mask for path in candidates if (mask := path.with_suffix(".png")).is_file()), None)
