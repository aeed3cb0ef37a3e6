"""Real classifiers to try explanations on, without a training framework; ``README.md`` says where each comes from."""

from .checkpoint import read_legacy_checkpoint
from .digit_vit import DIGIT_VIT_LABELS, DIGIT_VIT_PREPROCESSING
from .efficientnet_lite import (
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE0_PREPROCESSING,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    LiteVariant,
    build_efficientnet_lite,
    efficientnet_lite0,
    imagenet_labels,
)
from .packages import CARRIED, PACKAGES, PackagedModel, fetch

__all__ = [
    "CARRIED",
    "DIGIT_VIT_LABELS",
    "DIGIT_VIT_PREPROCESSING",
    "EFFICIENTNET_LITE0",
    "EFFICIENTNET_LITE0_PREPROCESSING",
    "EFFICIENTNET_LITE1",
    "EFFICIENTNET_LITE2",
    "PACKAGES",
    "LiteVariant",
    "PackagedModel",
    "build_efficientnet_lite",
    "efficientnet_lite0",
    "fetch",
    "imagenet_labels",
    "read_legacy_checkpoint",
]
