"""What runtimes do not run, and why: pinned, so that a release that learns it makes a test fail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from explained_files import ExplainedFile
    from outcomes import Outcome


@dataclass(frozen=True)
class Limit:
    """A kind of file that a runtime does not run, or runs otherwise.

    Args:
        runtime: A key of ``RUNTIMES``.
        files: Matches all of ``str(file)``.
        says: Is found in the reason.
        why: For people.
        plain: Whether the original is not run either.
        sometimes: Whether it depends on the processor, so that running rightly is no surprise.
    """

    runtime: str
    files: str
    says: str
    why: str
    plain: bool = False
    sometimes: bool = False

    def covers(self, runtime: str, file: ExplainedFile) -> bool:
        """Whether it is about that."""
        return runtime == self.runtime and re.fullmatch(self.files, str(file)) is not None

    def explains(self, outcome: Outcome) -> bool:
        """Whether that is how it failed."""
        return bool(re.search(self.says, outcome.reason)) and outcome.plain >= self.plain


DEFAULTS = r".*; toggle off"
"""Files whose ``explain`` has a default, called with false."""
LIMITS = [
    Limit(
        "ReferenceEvaluator",
        r"int8; .*",
        "No implementation for operator 'DequantizeLinear'",
        "it has DequantizeLinear from opset 19 on",
        plain=True,
    ),
    Limit(
        "ReferenceEvaluator",
        r"ResNet-18, int8; .*",
        "at most 64 array objects",
        "its GatherElements takes at most 64 classes, and those that the caller names are gathered behind the rounding",
    ),
    Limit(
        "OpenVINO",
        DEFAULTS,
        "Port for tensor name explain was not found",
        "an input with a default becomes a constant, so maps are always made",
    ),
    Limit(
        "OpenVINO",
        r"int8.*; gaussian",
        "differs by",
        "one more reader of the feature map, and it rounds elsewhere: scores end up to eight steps of 8 bits away",
    ),
    Limit(
        "cv2.dnn",
        r"(?!Swin|digit|ViT, batch).*; toggle off",
        "input .explain. is not found",
        "it does not know inputs with a default",
    ),
    Limit(
        "cv2.dnn",
        r"ViT, batch of 1; toggle.*",
        r"If@ai\.onnx.*'Graph' is not supported",
        "it reads no If around this network's tail",
    ),
    Limit(
        "cv2.dnn",
        r"(?!Swin|digit|ViT, batch).*; toggle required, off",
        "no value for saliency",
        "it answers nothing for an output with no elements",
    ),
    Limit("cv2.dnn", r"CumSum in the tail; middle.*", r"Scan@ai\.onnx.* parse error", "it has no Scan"),
    Limit("cv2.dnn", r"digit ViT; .*", "ends the process", "a crash of OpenCV", plain=True),
    Limit(
        "cv2.dnn",
        r"Swin; .*",
        r"constantofshape_layer|parse error",
        "it has no ConstantOfShape without a value",
        plain=True,
    ),
    Limit("onnxruntime-node", DEFAULTS, "saliency is .* instead of", "it ignores inputs that have a default"),
    Limit("onnxruntime-web", DEFAULTS, "invalid input 'explain'", "it refuses inputs that have a default"),
    Limit(
        "cv2.dnn",
        r"int8(, opset 21)?; (?!middle).*",
        "(differs by|other saliency_classes).*, and predicts otherwise",
        "on some processors (an Intel Xeon with AMX, not the AMD EPYC of this table) its scores, and with them the maps, end up to three "
        "steps of 8 bits away",
        sometimes=True,
    ),
]


def limit_of(runtime: str, file: ExplainedFile) -> Limit | None:
    """The first that covers the file."""
    return next((limit for limit in LIMITS if limit.covers(runtime, file)), None)
