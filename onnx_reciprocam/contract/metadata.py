"""The metadata of a rewritten file: all that a reader needs to use it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onnx_reciprocam.contract.preprocessing import Preprocessing
from onnx_reciprocam.errors import MetadataError, NotRewrittenError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_PREFIX = "reciprocam."
FORMAT_VERSION = "1"

SALIENCY = "saliency"
SALIENCY_CLASSES = "saliency_classes"
CLASS_IDS_INPUT = "saliency_class_ids"
TOGGLE_INPUT = "explain"

NO_MASK = "none"
"""What ``mask`` says where the method masks no cells."""


@dataclass(frozen=True)
class Contract:
    """What a rewritten file says of itself, one ``metadata_props`` entry per field under ``reciprocam.``.

    Args:
        target: The tensor whose cells are masked.
        method, mask, score, classes, normalize, upsample: The options of the rewrite, as the command line spells them;
            the mask is :data:`NO_MASK` where the method masks no cells.
        layout: The target's axes as einops writes them, ``b c h w`` or ``b h w c``.
        grid: Cells down and across; None where only the image's size decides.
        outputs: Real name per role: ``score`` (the explained output of the original), ``saliency``, and
            ``saliency_classes`` unless every class has a map.
        inputs: Real name per role: ``image``, and ``saliency_class_ids`` and ``explain`` where the file has them.
        namespace: Every node that the rewrite added has a name that begins so.
        source_sha256: Of the original file's bytes, then of its external data's.
        preprocessing: How a picture becomes the input, where the rewrite was told.
        labels: Class names in order, where the rewrite was told.
        activation: What made the explained output: ``softmax``, ``logsoftmax``, ``sigmoid``, or ``none`` for logits.
        vit_mask: That option where the target's cells are tokens; empty, and no entry, where they are none.
        norm: With ``post-norm``, the tensor behind the target that is masked as well; otherwise empty, and no entry.
    """

    target: str
    method: str
    mask: str
    score: str
    classes: str
    normalize: str
    upsample: str
    layout: str
    grid: tuple[int | None, int | None]
    outputs: Mapping[str, str]
    inputs: Mapping[str, str]
    namespace: str
    source_sha256: str
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()
    activation: str = "none"
    vit_mask: str = ""
    norm: str = ""
    version: str = field(default=FORMAT_VERSION)

    def to_metadata(self) -> dict[str, str]:
        """The entries to write, keys in a fixed order."""
        plain = (
            "version",
            "target",
            "method",
            "mask",
            "score",
            "classes",
            "normalize",
            "upsample",
            "activation",
            "layout",
        )
        entries = {name: str(getattr(self, name)) for name in plain}
        entries["grid"] = ",".join("?" if side is None else str(side) for side in self.grid)
        entries["outputs"] = json.dumps(dict(self.outputs))
        entries["inputs"] = json.dumps(dict(self.inputs))
        entries["namespace"] = self.namespace
        entries["source_sha256"] = self.source_sha256
        entries |= {name: value for name in ("vit_mask", "norm") if (value := getattr(self, name))}
        if self.preprocessing is not None:
            entries["preprocessing"] = self.preprocessing.to_json()
        if self.labels:
            entries["labels"] = json.dumps(self.labels, ensure_ascii=False)
        return {KEY_PREFIX + key: value for key, value in entries.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str = "the model") -> Contract:
        """Read the entries back.

        Raises:
            NotRewrittenError: There are none: a plain model.
            MetadataError: They are incomplete, damaged, or of a newer format.
        """
        entries = {key[len(KEY_PREFIX) :]: value for key, value in metadata.items() if key.startswith(KEY_PREFIX)}
        if not entries:
            raise NotRewrittenError(source)
        if (version := entries.get("version")) != FORMAT_VERSION:
            raise MetadataError(source, f"format version {version!r}, this release reads {FORMAT_VERSION!r}")
        try:
            return cls(
                **{
                    key: entries[key]
                    for key in ("target", "method", "mask", "score", "classes", "normalize", "upsample")
                },
                activation=entries.get("activation", "none"),
                layout=entries["layout"],
                grid=_read_grid(entries["grid"]),
                outputs=_read_names(entries["outputs"], "score", SALIENCY),
                inputs=_read_names(entries["inputs"], "image"),
                namespace=entries["namespace"],
                source_sha256=entries["source_sha256"],
                preprocessing=Preprocessing.from_json(entries["preprocessing"]) if "preprocessing" in entries else None,
                labels=_read_labels(entries.get("labels", "[]")),
                vit_mask=entries.get("vit_mask", ""),
                norm=entries.get("norm", ""),
            )
        except (AttributeError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise MetadataError(source, f"unreadable entry {error}") from error


def is_rewritten(metadata: Mapping[str, str]) -> bool:
    """Whether a file with these ``metadata_props`` was written by this tool."""
    return any(key.startswith(KEY_PREFIX) for key in metadata)


def _read_grid(text: str) -> tuple[int | None, int | None]:
    height, width = (None if side == "?" else int(side) for side in text.split(","))
    return height, width


def _read_names(text: str, *roles: str) -> dict[str, str]:
    names = json.loads(text)
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise TypeError(f"{text[:40]!r} is no object of names")
    return names | {role: names[role] for role in roles}


def _read_labels(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"{text[:40]!r} is no list of labels")
    return tuple(labels)
