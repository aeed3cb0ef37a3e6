"""What a request asks of a model, whatever protocol it came by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.runtime import ExplainedSession, Explanation


@dataclass(frozen=True, eq=False)
class Question:
    """Images to score, and whether to say why.

    Args:
        images: ``[B, ...]`` as the model takes them.
        class_ids: ``[B, K]`` for files rewritten with ``--classes input``, else None.
        explain: False for predictions alone, in files that have the switch.
        others: Further inputs by name.
    """

    images: NDArray[Any]
    class_ids: NDArray[Any] | None = None
    explain: bool = True
    others: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many images."""
        return len(self.images)

    def part(self, rows: slice) -> Question:
        """Some of the images, with their classes."""
        ids = None if self.class_ids is None else self.class_ids[rows]
        return replace(self, images=self.images[rows], class_ids=ids)

    def fits(self, other: Question) -> bool:
        """Whether both can be asked in one run."""
        ids = [None if each.class_ids is None else each.class_ids.shape[1:] for each in (self, other)]
        return (
            self.images.shape[1:] == other.images.shape[1:]
            and self.images.dtype == other.images.dtype
            and ids[0] == ids[1]
            and self.explain == other.explain
            and not (self.others or other.others)
        )

    def ask(self, session: ExplainedSession) -> Explanation:
        """One run.

        Raises:
            InputError: It does not fit the model.
        """
        return session(self.images, class_ids=self.class_ids, explain=self.explain, **self.others)


def together(questions: Sequence[Question]) -> Question:
    """Questions that fit each other as one."""
    first = questions[0]
    if len(questions) == 1:
        return first
    ids = None if first.class_ids is None else np.concatenate([each.class_ids for each in questions])
    return replace(first, images=np.concatenate([each.images for each in questions]), class_ids=ids)


def rows_of(found: Explanation, rows: slice) -> Explanation:
    """The part of an answer that belongs to some of its images."""
    return replace(
        found,
        predictions=found.predictions[rows],
        saliency=found.saliency[rows],
        classes=found.classes[rows],
        outputs={name: value[rows] for name, value in found.outputs.items()},
    )


def joined(parts: Sequence[Explanation]) -> Explanation:
    """Answers to the parts of a question as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(
        first,
        predictions=np.concatenate([part.predictions for part in parts]),
        saliency=np.concatenate([part.saliency for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        outputs={name: np.concatenate([part.outputs[name] for part in parts]) for name in first.outputs},
    )
